"""requirements-record.lock: all that recording needs beside torch, NumPy and Triton, in a folder below 50 MiB."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

THERE = {"torch", "numpy", "triton"}
"""What a GPU machine brings itself."""
MACHINE = {"python_version": "3.12", "python_full_version": "3.12.3", "sys_platform": "linux", "extra": ""}
MACHINE |= {"platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython"}
MOST_BYTES = 50 * 2**20


def pinned(path) -> dict[str, str]:
    """Package to version."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", path.read_text(), re.MULTILINE))


def asked(path) -> dict[str, Requirement]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@pytest.fixture
def lock(repository):
    return pinned(repository / "requirements-record.lock")


def test_the_lock_pins_what_is_asked_for_and_nothing_that_is_there(repository, lock):
    for name, requirement in asked(repository / "requirements-record.in").items():
        assert requirement.specifier.contains(lock[name])
    assert not THERE & set(lock)


def test_every_package_has_a_hash(repository, lock):
    entries = re.split(r"\n(?=\S)", (repository / "requirements-record.lock").read_text().strip())
    assert len(entries) == len(lock)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_versions_are_those_of_the_other_lock(repository, lock):
    tested = pinned(repository / "requirements.lock")
    assert {name: version for name, version in lock.items() if tested.get(name, version) != version} == {}
    assert set(lock) - set(tested) == {"cuda-bindings", "cuda-pathfinder"}


def test_the_extra_says_the_same(repository):
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    ours = asked(repository / "requirements-record.in")
    for requirement in map(Requirement, extras["record"] + extras["workflow"]):
        if requirement.name not in THERE:
            assert requirement.specifier == ours[requirement.name].specifier


@pytest.mark.long
def test_the_wheels_are_below_50_mib_and_complete(repository, tmp_path):
    """Installed as on a machine without network; whatever one of them needs is among them, or there already."""
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    probe = [*pip, "download", "--no-deps", "--dest", tmp_path / "probe", "pluggy"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no package index can be reached")
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    made = subprocess.run(
        [repository / "tools/record_wheels.sh", wheels], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert sum(path.stat().st_size for path in wheels.iterdir()) < MOST_BYTES
    target = ["--no-index", "--no-deps", "--only-binary", ":all:", "--python-version", "3.12", "--target", site]
    subprocess.run([*pip, "install", *target, *wheels.iterdir()], check=True)

    found = {canonicalize_name(distribution.name): distribution for distribution in distributions(path=[str(site)])}
    assert set(found) == set(pinned(repository / "requirements-record.lock"))
    for distribution in found.values():
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker and not requirement.marker.evaluate(MACHINE):
                continue
            name = canonicalize_name(requirement.name)
            assert name in THERE or requirement.specifier.contains(found[name].version, prereleases=True)
