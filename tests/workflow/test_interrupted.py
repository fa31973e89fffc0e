"""A build that is interrupted goes on where it was, and ends with the bytes of one that was not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pagedkv import config

REPOSITORY = Path(__file__).parents[2]
TARGETS = (
    "workloads/fits.parquet",
    "traces/fits.kvtrace",
    "runs/fits.parquet",
    "serve/fits.parquet",
    "metrics.parquet",
)


def small_configuration(path: Path) -> None:
    """One scenario, and of its replay only what takes seconds."""
    gone = {name: None for name in config.load([REPOSITORY / "config.yaml"])["scenarios"] if name != "fits"}
    replay = {"link_scale": [1.0], "demand": ["D-step"], "demand_steps": 20}
    settings = {"traces": "simulated", "scenarios": gone, "replay": replay, "report": {"trace_of": {"anatomy": "fits"}}}
    path.write_text(yaml.safe_dump(settings))


def checkout(folder: Path) -> Path:
    """What a build reads, in a folder of its own."""
    folder.mkdir()
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("src", "workflow", "report", "recorded", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pdf"))
    small_configuration(folder / "small.yaml")
    return folder


def start(folder: Path) -> subprocess.Popen:
    targets = [f"results/{name}" for name in TARGETS]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "small.yaml", "--", *targets]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever is started in the background ignores interrupts, and so would the build.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(folder: Path) -> str:
    """Build to the end; returns what Snakemake printed."""
    process = start(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def built(folder: Path) -> dict[str, bytes]:
    finish(folder)
    return {name: (folder / "results" / name).read_bytes() for name in TARGETS}


@pytest.mark.long
def test_an_interrupted_build_ends_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    broken, whole = checkout(tmp_path / "broken"), checkout(tmp_path / "whole")
    process = start(broken)
    deadline = time.monotonic() + 200
    # The job's shell opens its log first of all.
    while not (broken / "logs/replay/fits.log").exists():
        assert process.poll() is None and time.monotonic() < deadline, "the build ended before it was interrupted"
        time.sleep(0.05)
    time.sleep(0.2)  # Python is still importing: no machine is so fast that it is over
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert not (broken / "results/metrics.parquet").exists(), "the interruption came too late to test anything"
    assert not list((broken / "results").rglob("*.tmp")), "something half-written is left"
    assert built(broken) == built(whole)
    assert "Nothing to be done" in finish(whole), "a second call runs something"
