"""The engine's own time is found again in a trace whose steps take it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pagedkv import trace as traces
from pagedkv.device.calibration import read_calibration
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.batches import batches
from pagedkv.fidelity.overhead import add_overhead
from pagedkv.geometry import geometry
from tests.engine.build import record, table

TINY = geometry("tiny")
STEP_S, REQUEST_S = 2e-4, 3e-5


@pytest.fixture
def calibration(tmp_path, repository):
    """A measured calibration of the tiny model, made of the shipped one."""
    made = json.loads((repository / "recorded/calibration/calibration.json").read_text())
    made["compute"] = {key: value for key, value in made["compute"].items() if key != "engine"} | {"model": "tiny"}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(made))
    return path


def recorded(path, cost, origin="cuda"):
    """A trace whose decode steps take what `cost` says, the engine's own time, and some noise."""
    rows = [{"prompt": 16 * (n + 1), "output": 40 + 30 * n} for n in range(6)]
    trace, _ = record(table(rows), settings={"pool_blocks": 200, "max_num_seqs": 6})
    made, noise = batches(trace), np.random.default_rng(0)
    columns = zip(made.tokens.tolist(), made.context.tolist(), made.pairs.tolist(), strict=True)
    seconds = np.array([cost.step_s(TINY, int(tokens), context, pairs) for tokens, context, pairs in columns])
    seconds += STEP_S + REQUEST_S * made.tokens + 1e-5 * noise.standard_normal(len(seconds))
    steps = {**trace.steps, "compute_us": seconds * 1e6, "stall_us": np.zeros(len(seconds))}
    traces.write(
        replace(trace, header={**trace.header, "origin": origin, "model": {"name": "tiny"}}, steps=steps), path
    )
    return path


def test_the_engines_own_time_is_found(tmp_path, calibration):
    without = read_calibration(calibration).compute
    add_overhead(calibration, [recorded(tmp_path / "run.kvtrace", without)])
    made = json.loads(calibration.read_text())
    assert made["compute"]["engine"]["step_s"] == pytest.approx(STEP_S, rel=0.1)
    assert made["compute"]["engine"]["request_s"] == pytest.approx(REQUEST_S, rel=0.1)
    for name in ("step_s", "request_s"):
        interval = made["compute"]["engine"]["fit"][name]
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert made["status"].endswith("traces of run")
    added = read_calibration(calibration).compute
    assert added.step_s(TINY, 4, 400, 0.0) - without.step_s(TINY, 4, 400, 0.0) == pytest.approx(
        STEP_S + 4 * REQUEST_S, rel=0.1
    )


def test_simulated_traces_tell_nothing_about_a_host(tmp_path, calibration):
    run = recorded(tmp_path / "run.kvtrace", read_calibration(calibration).compute, origin="simulated")
    with pytest.raises(PagedKVError, match=r"run.kvtrace: a trace of origin 'simulated' tells nothing"):
        add_overhead(calibration, [run])
