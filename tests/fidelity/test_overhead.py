"""The engine's own time is found again in a trace whose steps take it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pagedkv import trace as traces
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.transfers import LOAD
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.batches import batches
from pagedkv.fidelity.overhead import add_overhead
from pagedkv.geometry import geometry
from tests.engine.build import record, table

TINY = geometry("tiny")
STEP_S, REQUEST_S, LOADING_S = 2e-4, 3e-5, 1e-4


@pytest.fixture
def calibration(tmp_path, repository):
    """A measured calibration of the tiny model, made of the shipped one."""
    made = json.loads((repository / "recorded/calibration/calibration.json").read_text())
    made["compute"] = {key: value for key, value in made["compute"].items() if key != "engine"} | {"model": "tiny"}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(made))
    return path


def recorded(path, cost, origin="cuda", prefetch="none", slower=1.0, loads=None):
    """A trace whose decode steps take what `cost` says, the engine's own time, and some noise."""
    rows = [{"prompt": 16 * (n + 1), "output": 40 + 30 * n} for n in range(6)]
    trace, _ = record(table(rows), settings={"pool_blocks": 200, "max_num_seqs": 6})
    made, noise = batches(trace), np.random.default_rng(0)
    columns = zip(made.tokens.tolist(), made.context.tolist(), made.pairs.tolist(), strict=True)
    seconds = np.array([cost.step_s(TINY, int(tokens), context, pairs) for tokens, context, pairs in columns])
    seconds = slower * (seconds + STEP_S + REQUEST_S * made.tokens) + 1e-5 * noise.standard_normal(len(seconds))
    seconds += 0.0 if loads is None else LOADING_S
    start_us = np.concatenate([[0.0], np.cumsum(seconds)[:-1]]) * 1e6
    steps = {**trace.steps, "start_us": start_us, "compute_us": seconds * 1e6, "stall_us": np.zeros(len(seconds))}
    header = {**trace.header, "origin": origin, "model": {"name": "tiny"}, "policy": {"prefetch": prefetch}}
    transfers = trace.transfers if loads is None else loads(steps)
    traces.write(replace(trace, header=header, steps=steps, transfers=transfers), path)
    return path


def one_load(steps):
    """Which is under way from the first step to the last."""
    end = float(steps["start_us"][-1] + steps["compute_us"][-1])
    columns = {"job": 0, "direction": LOAD, "cause": 0, "first_content": 1, "blocks": 1}
    times = {"issue_us": 0.0, "start_us": 0.0, "done_us": end, "seen_step": len(steps["step"])}
    return {name: np.array([value]) for name, value in (columns | times).items()}


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


def test_so_is_what_loads_beside_it_add_beyond_the_slow_down(tmp_path, calibration):
    """Steps of the run with a prefetcher take the calibrated slow-down, and 0.1 ms more, which the factor leaves."""
    without = read_calibration(calibration)
    slower = without.compute_slowdown
    assert slower > 1
    runs = [recorded(tmp_path / "plain.kvtrace", without.compute)]
    runs += [recorded(tmp_path / "loads.kvtrace", without.compute, prefetch="la_k", slower=slower, loads=one_load)]
    add_overhead(calibration, runs)
    engine = json.loads(calibration.read_text())["compute"]["engine"]
    assert engine["loading_s"] == pytest.approx(LOADING_S, rel=0.1)
    assert engine["step_s"] == pytest.approx(STEP_S, rel=0.1), "the run with loads tells nothing of steps without"
    assert engine["loading_origin"].endswith("steps beside loads of loads")
    assert read_calibration(calibration).slowed_s(0.0) == 0.0
    assert read_calibration(calibration).slowed_s(1e-3) == pytest.approx((slower - 1) * 1e-3 + LOADING_S, rel=0.1)


def test_a_run_without_enough_steps_beside_loads_is_refused(tmp_path, calibration):
    cost = read_calibration(calibration).compute
    runs = [recorded(tmp_path / "plain.kvtrace", cost), recorded(tmp_path / "none.kvtrace", cost, prefetch="la_k")]
    with pytest.raises(PagedKVError, match="0 steps beside loads, but 20 are needed"):
        add_overhead(calibration, runs)
