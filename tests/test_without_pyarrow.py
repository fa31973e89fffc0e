"""Recording on a machine that has NumPy and little else: what is not in requirements-record.lock cannot be imported."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pagedkv import config, trace
from pagedkv.workload import read
from tests import pipeline
from tests.trace.toy import assert_equal

ABSENT = ("pandas", "pyarrow", "matplotlib", "scipy", "torch", "triton", "transformers")

SITE = f'''
"""Python imports this at its start: what is ABSENT is found by nobody."""

import sys
from importlib.machinery import PathFinder


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {ABSENT} else super().find_spec(name, path, target)


sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
'''


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Environment of a process, and of all that it starts, in which ABSENT cannot be imported."""
    folder = tmp_path_factory.mktemp("absent")
    (folder / "sitecustomize.py").write_text(SITE)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": f"{folder}:src", "CUDA_VISIBLE_DEVICES": ""}


def run(arguments, folder, environment):
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ABSENT)
def test_it_is_absent_indeed(bare, repository, name):
    done = subprocess.run([sys.executable, "-c", f"import {name}"], env=bare, cwd=repository, capture_output=True)
    assert done.returncode == 1 and f"No module named '{name}'".encode() in done.stderr


def test_a_trace_is_recorded_verified_and_used_elsewhere(bare, repository, tmp_path, tiny_results):
    workload, record, *_ = pipeline.stages(tmp_path)
    run(["pagedkv", *workload], repository, bare)
    run(["pagedkv", *record], repository, bare)
    assert "complete and unchanged" in run(["pagedkv", "verify", tmp_path / "toy.kvtrace"], repository, bare)
    assert (tmp_path / "requests.parquet").read_bytes().startswith(b"PK")
    assert read(tmp_path / "requests.parquet").digest == read(tiny_results / "requests.parquet").digest
    assert_equal(trace.read(tmp_path / "toy.kvtrace"), trace.read(tiny_results / "toy.kvtrace"), header=False)


def test_the_workflow_is_parsed_and_records(bare, repository, tmp_path, at_root):
    for name in ("src", "workflow", "profiles", "recorded", "report"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.pdf"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(repository / name, tmp_path)
    gone = {name: None for name in config.load([repository / "config.yaml"])["scenarios"] if name != "fits"}
    small = {"traces": "simulated", "scenarios": gone, "report": {"trace_of": {"anatomy": "fits"}}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    options = ["--cores", "2", "--configfile", "small.yaml"]
    assert "record fits: simulated" in run(["snakemake", "record", *options], tmp_path, bare)
    assert trace.read(tmp_path / "results/traces/fits.kvtrace").header["origin"] == "simulated"
    planned = run(["snakemake", "all", "-n", *options], tmp_path, bare)
    assert re.search(r"^replay +1$", planned, re.MULTILINE) and not re.search(r"^record_", planned, re.MULTILINE)
