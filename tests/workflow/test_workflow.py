"""The workflow as Snakemake sees it: clean, complete, and rerunning exactly what a change touches.

The last test runs it in a copy of the checkout whose stages only write down how they were called.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pagedkv import config

STAND_IN = '''
"""Writes its arguments to every file that it is to make."""

import pathlib
import sys

arguments = sys.argv[1:]
for flag, value in zip(arguments, arguments[1:]):
    if flag == "--png" or flag.startswith("--out"):
        path = pathlib.Path(value)
        path.parent.mkdir(parents=True, exist_ok=True)
        if arguments[0] == "tables":
            path.mkdir(exist_ok=True)
        else:
            path.write_text(" ".join(arguments))
'''


def snakemake(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Rule to number of jobs that would run."""
    code, output = snakemake(folder, "-n", *arguments)
    assert code == 0, output
    table = output.rpartition("Job stats:")[2]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE) if rule != "total"}


def test_the_linter_has_nothing_to_say(repository):
    code, output = snakemake(repository, "--lint")
    assert code == 0, output


def test_the_rules_are_formatted(repository):
    command = [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_entrance_is_short_and_every_rule_says_what_it_does(repository):
    assert len((repository / "Snakefile").read_text().splitlines()) < 40
    for path in (repository / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^ *(?=rule \w+:)", path.read_text(), flags=re.MULTILINE)[1:]:
            for directive in ("input:", "output:", "log:", "conda:", "message:", "shell:"):
                assert directive in rule, f"{path.name}: {rule.splitlines()[0]} has no {directive}"


def test_a_wrong_configuration_stops_it_before_anything_runs(repository):
    code, output = snakemake(repository, "-n", "--config", "traces=sometimes")
    assert code == 1
    assert "config: traces: 'sometimes' is not one of ['auto', 'record', 'recorded']" in output
    assert "Job stats" not in output


@pytest.fixture(scope="module")
def checkout(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("workflow", "profiles", "config", "src", "recorded", "report"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(repository / name, folder)
    (folder / "src/pagedkv/__main__.py").write_text(STAND_IN)
    return folder


EVALUATION = {"metrics": 1, "claims": 1, "numbers": 1, "tables": 1}
REPORT = {"report": 1, "all": 1}


def test_the_smoke_configuration_is_the_whole_path(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    smoke = config.load(["config.yaml", "config/smoke.yaml"])
    loops = dict.fromkeys(("workload", "record", "replay", "serve"), len(config.scenarios(smoke)))
    figures = {"figure": len(smoke["report"]["figures"])}
    planned_jobs = planned(checkout, "--configfile", "config/smoke.yaml")
    assert planned_jobs == loops | EVALUATION | figures | REPORT


def test_a_change_reruns_what_depends_on_it_and_nothing_else(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    small = {"scenarios": {name: None for name in config.load()["scenarios"] if name != "rotation"}}
    small |= {"report": {"figures": ["anatomy", "timeliness"]}, "pathvars": {"results": "elsewhere"}}
    (checkout / "small.yaml").write_text(yaml.safe_dump(small))
    arguments = ("--configfile", "small.yaml")

    # Everything but the PDF, which needs the numbers themselves.
    code, output = snakemake(checkout, *arguments, "--until", "figure", "tables", "numbers")
    assert code == 0, output
    called = (checkout / "elsewhere/workloads/rotation.parquet").read_text()
    assert called.startswith('workload --settings {"scenario": "rotation"')
    assert not (checkout / "results").exists()

    figure = checkout / "src/pagedkv/paper/figures/timeliness.py"
    policy = checkout / "src/pagedkv/prefetch/next_n.py"
    downstream = {"replay": 1, "serve": 1, "figure": 2} | EVALUATION
    for path, expected in ((figure, {"figure": 1}), (policy, downstream)):
        before = path.read_text()
        path.write_text(f"{before}# changed\n")
        assert planned(checkout, *arguments) == expected | REPORT
        path.write_text(before)
