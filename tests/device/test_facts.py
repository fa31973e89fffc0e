"""Provenance of what is measured here."""

import subprocess
import sys
from pathlib import Path

import pytest

import pagedkv
from pagedkv.device.facts import facts, source_sha256


@pytest.fixture
def package(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, code in {"a.py": "x = 1\n", "b.py": "", "deep/c.py": "y = 2\n"}.items():
        (tmp_path / name).write_text(code)
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "deep/c.py").write_text("y = 3\n"),
        lambda folder: (folder / "a.py").rename(folder / "z.py"),
        lambda folder: (folder / "b.py").unlink(),
        lambda folder: (folder / "deep/new.py").touch(),
    ],
    ids=["edited", "renamed", "gone", "new"],
)
def test_other_sources_are_another_digest(package, change):
    before = source_sha256(package)
    change(package)
    assert source_sha256(package) != before


def test_what_is_no_source_and_where_it_lies_do_not_count(package, tmp_path_factory):
    before = source_sha256(package)
    (package / "deep/__pycache__").mkdir()
    (package / "deep/__pycache__/c.pyc").write_bytes(b"\0")
    (package / "table.csv").write_text("1\n")
    moved = tmp_path_factory.mktemp("elsewhere") / "package"
    package.rename(moved)
    assert source_sha256(moved) == before


def test_facts_name_the_sources_that_run_and_whether_the_commit_has_them(tmp_path, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    Path("code.py").touch()
    git("add", "code.py")
    git("commit", "-qm", "one")
    head = git("rev-parse", "HEAD")
    git("tag", "v1")
    assert facts("cpu")["commit"] == head, "a tag does not take its place"
    Path("code.py").write_text("changed\n")
    found = facts("cpu")
    assert found["commit"] == f"{head}-dirty"
    assert found["source_sha256"] == source_sha256(Path(pagedkv.__file__).parent)
    assert found["versions"]["python"] == sys.version.split()[0]


def test_outside_a_repository_the_commit_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert facts("cpu")["commit"] == ""
