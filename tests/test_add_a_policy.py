"""docs/add-a-policy.md, done: its policy is dropped into a copy of the package and run, and nothing else is edited."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from pagedkv.engine.view import FIELD_LEVELS
from tests import pipeline


@pytest.fixture(scope="module")
def guide(repository):
    return (repository / "docs/add-a-policy.md").read_text()


def blocks(guide, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(repository, guide, tmp_path_factory):
    """A copy of the checkout with the guide's file and a small configuration that names its policy."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(repository / "src/pagedkv", folder / "src/pagedkv", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repository / "workflow/schemas", folder / "workflow/schemas")
    shutil.copy(repository / "config.yaml", folder)
    (name,) = re.findall(r"^`(src/pagedkv/prefetch/\w+\.py)`:$", guide, re.MULTILINE)
    (folder / name).write_text(blocks(guide, "python")[0])
    pipeline.settings(folder, "record")  # writes the calibration
    (entry,) = yaml.safe_load(blocks(guide, "yaml")[0])
    replay = {**pipeline.REPLAY, "policies": [{"prefetch": "none"}, entry], "sweep": [entry], "demand": ["D-step"]}
    ours = dict.fromkeys(yaml.safe_load((folder / "config.yaml").read_text())["scenarios"])
    ours["toy"] = {"workload": pipeline.WORKLOAD, "engine": pipeline.ENGINE}
    small = {"model": "tiny", "calibration": "calibration.json", "scenarios": ours, "report": {"trace_of": None}}
    small["report"] = {"trace_of": {"anatomy": "toy"}}
    small |= {"replay": replay, "serve": [*pipeline.SERVE[:1], {**entry, "eviction": "lru", "demand": "D-step"}]}
    (folder / "mine.yaml").write_text(yaml.safe_dump(small))
    return folder


@pytest.fixture(scope="module")
def run(checkout):
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}

    def call(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture(scope="module")
def built(run, checkout):
    """Every stage from the workload to the tables, in one process."""
    staged = "--scenario toy --config config.yaml mine.yaml"
    verbs = [
        f"workload {staged} --out w.parquet",
        f"record {staged} --requests w.parquet --out t.kvtrace",
        f"replay {staged} --trace t.kvtrace --out r.parquet",
        f"serve {staged} --requests w.parquet --out s.parquet",
        "metrics --runs r.parquet --serve s.parquet --out-runs runs.parquet --out-serve serve.parquet",
        "tables --metrics runs.parquet --serve serve.parquet --out tables",
        "list",
    ]
    script = "import sys; from pagedkv.cli import main; sys.exit(any(main(verb.split()) for verb in sys.argv[1:]))"
    return run("-c", script, *verbs)


def test_it_is_listed(built):
    (line,) = [line for line in built.splitlines() if line.split()[:1] == ["queue_head"]]
    assert line.split()[1:3] == ["I4", "schedule"]


def test_it_runs_and_prefetches(built, checkout):
    runs = pd.read_parquet(checkout / "runs.parquet")
    own = runs[runs["prefetch"] == "queue_head"]
    assert set(own["sweep"]) == {"main", "matched", "rho"}
    assert (own["useful"] > 0).all()
    assert set(own[own["sweep"] == "matched"]["eviction"]) == {"plan_aware"}
    assert "queue_head" in set(pd.read_parquet(checkout / "serve.parquet")["prefetch"])


@pytest.mark.parametrize("table", ["policies", "serve"])
def test_it_is_in_the_tables(built, checkout, table):
    assert r"queue\_head" in (checkout / f"tables/{table}.tex").read_text()


def test_it_counts_as_what_its_family_says(built, checkout):
    """The plan's column of the summary is the best of the policies that read the schedule: here that is ours."""
    from pagedkv.paper import frames

    rows = frames.load(checkout / "runs.parquet")
    assert set(rows[rows["prefetch"] == "queue_head"]["kind"]) == {"schedule"}


def test_its_own_test_passes(run, guide, checkout):
    code = blocks(guide, "python")[1]
    calls = "".join(f"\n{name}()" for name in re.findall(r"^def (test_\w+)", code, re.MULTILINE))
    (checkout / "test_queue_head.py").write_text(code + calls)
    run("test_queue_head.py")


def test_nothing_else_was_edited(checkout, repository):
    compared = subprocess.run(
        ["diff", "-rq", "-x", "__pycache__", repository / "src/pagedkv", checkout / "src/pagedkv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.stdout.split() == ["Only", "in", f"{checkout}/src/pagedkv/prefetch:", "queue_head.py"]


def test_the_guide_names_every_field_of_the_view(guide):
    assert not [field for field in FIELD_LEVELS if f"`{field}" not in guide]


def test_the_commands_of_the_guide_are_commands(guide):
    from pagedkv.cli import main

    for verb in re.findall(r"^\./lab pagedkv (\w+)", "\n".join(blocks(guide, "sh")), re.MULTILINE):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
