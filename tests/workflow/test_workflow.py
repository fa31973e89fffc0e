"""The workflow as Snakemake sees it: clean, complete, and rerunning exactly what a change touches.

The last test runs it in a copy of the checkout whose stages only write down how they were called.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from pagedkv import config, trace
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.leaderboard import parts
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.ship import ship
from pagedkv.workload import build

STAND_IN = '''
"""Writes its arguments to every file that it is to make; on a GPU it fails if it is not alone."""

import pathlib
import sys
import time

arguments = sys.argv[1:]
if \'"device": "cuda"\' in " ".join(arguments):
    gpu = pathlib.Path("gpu-in-use")
    gpu.mkdir()
    time.sleep(0.5)
    gpu.rmdir()
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
    assert len((repository / "Snakefile").read_text().splitlines()) < 60
    for path in (repository / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^ *(?=rule \w+:)", path.read_text(), flags=re.MULTILINE)[1:]:
            for directive in ("input:", "output:", "log:", "conda:", "message:", "shell:"):
                assert directive in rule, f"{path.name}: {rule.splitlines()[0]} has no {directive}"


def test_a_wrong_configuration_stops_it_before_anything_runs(repository):
    code, output = snakemake(repository, "-n", "--config", "traces=sometimes")
    assert code == 1
    assert "config: traces: 'sometimes' is not one of ['auto', 'record', 'recorded', 'simulated']" in output
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


SIMULATED = ("--config", "traces=simulated")
EVALUATION = {"hold_against": 1, "metrics": 1, "claims": 1, "numbers": 1, "tables": 1}
REPORT = {"report": 1, "all": 1}


def test_the_smoke_configuration_is_the_whole_path(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    smoke = config.load(["config.yaml", "config/smoke.yaml"])
    loops = dict.fromkeys(("workload", "record_scenario", "replay", "serve", "predict"), len(config.scenarios(smoke)))
    compared = len(smoke["leaderboard"]["scenarios"])
    board = {"grid": compared, "tune": 1, "compare": compared * len(parts(smoke["leaderboard"]))}
    board["seeds"] = len(smoke["leaderboard"]["seeds"]["scenarios"].keys() & config.scenarios(smoke).keys())
    figures = {"figure": len(smoke["report"]["figures"])}
    planned_jobs = planned(checkout, "--configfile", "config/smoke.yaml", *SIMULATED)
    assert planned_jobs == loops | board | EVALUATION | figures | REPORT


def test_a_change_reruns_what_depends_on_it_and_nothing_else(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    small = {"scenarios": {name: None for name in config.load()["scenarios"] if name != "rotation"}}
    small |= {"report": {"figures": ["anatomy", "timeliness"]}, "pathvars": {"results": "elsewhere"}}
    (checkout / "small.yaml").write_text(yaml.safe_dump(small))
    arguments = ("--configfile", "small.yaml", *SIMULATED)

    # Everything but the PDF, which needs the numbers themselves.
    code, output = snakemake(checkout, *arguments, "--until", "figure", "tables", "numbers")
    assert code == 0, output
    called = (checkout / "elsewhere/workloads/rotation.parquet").read_text()
    assert called.startswith('workload --settings {"scenario": "rotation"')
    assert not (checkout / "results").exists()

    figure = checkout / "src/pagedkv/paper/figures/timeliness.py"
    policy = checkout / "src/pagedkv/prefetch/next_n.py"
    downstream = {"replay": 1, "serve": 1, "train_lstm": 1, "seeds": 1, "predict": 1, "figure": 2} | EVALUATION
    for path, expected in ((figure, {"figure": 1}), (policy, downstream)):
        before = path.read_text()
        path.write_text(f"{before}# changed\n")
        assert planned(checkout, *arguments) == expected | REPORT
        path.write_text(before)


def run_record(checkout, *arguments, **environment):
    """Exit code and output of `snakemake record` with the scenarios `fits` and `code` alone."""
    gone = {name: None for name in config.load()["scenarios"] if name not in ("fits", "code")}
    small = {"scenarios": gone, "report": {"trace_of": {"anatomy": "fits"}}, "pathvars": {"results": "recording"}}
    (checkout / "record.yaml").write_text(yaml.safe_dump(small))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "record", "--configfile", "record.yaml"]
    options = {"capture_output": True, "text": True, "check": False, "env": {**os.environ, **environment}}
    done = subprocess.run([*command, *arguments], cwd=checkout, **options)
    return done.returncode, done.stdout + done.stderr


def test_record_without_a_gpu_says_where_each_trace_comes_from(checkout, monkeypatch):
    """What is shipped for the scenario as it is configured, and a simulation of the others."""
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    shutil.rmtree(checkout / "recorded/traces", ignore_errors=True)
    loaded = config.load()
    table = build(config.workload_settings(loaded, "fits")["workload"], checkout)
    engine = EngineSettings.from_config(loaded["scenarios"]["fits"]["engine"])
    header = {"model": asdict(geometry(loaded["model"])), "engine": asdict(engine), "workload_sha256": table.digest}
    header |= {"scenario": "fits", "origin": "cuda", "workload": dict(table.origin), "seed": loaded["seed"]}
    trace.write(Recorder().finish(header), checkout / "fits.kvtrace")
    ship([checkout / "fits.kvtrace"], checkout / "recorded/traces")
    code, output = run_record(checkout, "-n")
    shutil.rmtree(checkout / "recorded/traces")
    assert code == 0, output
    assert "trace fits: recorded, as shipped" in output and "record code: simulated" in output
    assert not re.search(r"^(replay|serve|report|figure) ", output, re.MULTILINE)
    code, output = run_record(checkout, "-n", "--config", "traces=record")
    assert code == 1 and "config: traces: 'record' needs a CUDA device, and there is none here" in output


def test_on_a_gpu_one_scenario_after_the_other_is_recorded(checkout, tmp_path, monkeypatch):
    """The stand-in fails where two recordings use the GPU at once. Torch is found and not imported."""
    monkeypatch.chdir(checkout)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 143771\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    (tmp_path / "torch.py").write_text("raise AssertionError('the workflow imports torch')")
    found = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
    code, output = run_record(checkout, **found)
    assert code == 0, output
    assert "record fits: cuda" in output and "record code: cuda" in output
