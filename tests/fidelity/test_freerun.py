"""Errors of a free run: none where the device does what was predicted, known ones where it is off by a known factor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pagedkv.device.link import Link
from pagedkv.engine.settings import EngineSettings
from pagedkv.fidelity.ablations import Model, ablations
from pagedkv.fidelity.bars import off
from pagedkv.fidelity.columns import QUANTITIES, TERMS
from pagedkv.fidelity.freerun import closed_rows, relative, run_of
from tests.fidelity.synthetic import CASES, ENGINE, closed, costs, table


def rows(case=CASES[0], **real):
    """The toy machine's links do what the simulated ones do, and not what its engine expects of them."""
    return {row["ablation"]: row for row in closed_rows(closed(case, link=Link, **real), table(), costs())}


def test_a_device_that_does_what_was_predicted_has_no_errors():
    whole = rows(noise=0.0)[""]
    for name in QUANTITIES:
        assert whole[f"{name}_error"] == pytest.approx(0, abs=1e-6), name
    assert whole["schedule_distance"] == 0
    assert whole["step_mape"] == pytest.approx(0, abs=1e-6)
    assert off(whole)["missed"] == ""


def test_a_device_whose_steps_take_longer_shows_in_steps_and_not_in_bytes():
    whole = rows(slower=1.25, noise=0.0)[""]
    assert whole["step_mape"] == pytest.approx(0.2)
    assert whole["step_bias"] == pytest.approx(-0.2)
    assert abs(whole["h2d_bytes_error"]) < 0.01
    assert min(TERMS, key=lambda term: whole[term]) == "term_steps"
    assert "step" in off(whole)["missed"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.prefetch)
def test_the_terms_add_up_to_the_error_of_the_elapsed_time(case):
    for row in rows(case, slower=1.1, noise=0.1).values():
        assert sum(row[term] for term in TERMS) == pytest.approx(row["elapsed_s_error"], abs=1e-6)


def test_every_ablation_breaks_what_the_whole_model_keeps():
    """Pool, host memory, link and launches all matter in this workload; the whole model keeps every bar."""
    found = rows(noise=0.002)
    assert off(found.pop(""))["missed"] == ""
    assert found.pop("no slow-down")["matters"] == 0, "the toy has none"
    assert set(found) == {"wrong capacity", "no contention", "no launch overhead", "infinite host"}
    for name, row in found.items():
        assert row["matters"] == 1, name
        assert off(row)["missed"], name


def test_an_ablation_of_what_a_run_never_uses_does_not_matter(monkeypatch):
    monkeypatch.setitem(ENGINE, "host_blocks", 4000)
    assert rows(noise=0.0)["infinite host"]["matters"] == 0


def test_unlimited_host_memory_cannot_be_taken_away():
    model = Model(costs(), EngineSettings(pool_blocks=40))
    assert "infinite host" not in dict(ablations(model))
    without = dict(ablations(model))
    assert without["wrong capacity"].settings.pool_blocks == 52
    assert without["no contention"].calibration.contention == 1
    assert without["no launch overhead"].calibration.host_to_device.submit_s == 0


def test_a_cost_of_nothing_is_an_infinite_error_only_where_something_is_simulated():
    assert relative(0.0, 0.0) == 0
    assert relative(1.0, 0.0) == math.inf
    assert relative(3.0, 2.0) == 0.5


def test_percentiles_are_those_of_the_requests():
    trace = closed(CASES[0])
    found, served = run_of(trace).quantities, trace.header["served"]
    for name in ("ttft_mean_s", "ttft_p99_s", "tpot_p50_s", "tpot_p99_s"):
        assert found[name] == pytest.approx(served[name], abs=1e-8), name
    steps = trace.steps
    assert found["step_s"] == pytest.approx(np.mean(steps["stall_us"] + steps["compute_us"]) * 1e-6)
