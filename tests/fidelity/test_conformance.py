"""Fed its own times a run comes out again; the first difference is named where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pagedkv.fidelity.conformance import conform, first_difference
from tests.fidelity import synthetic
from tests.fidelity.synthetic import CASES, closed, costs, table


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.prefetch)
def test_a_run_on_its_own_times_is_exact(case):
    trace = closed(case, noise=0.2)
    assert len(trace.transfers["job"]), "nothing moves: the test would not notice anything"
    found = conform(trace, table(), costs())
    assert (found.decisions, found.bytes, found.difference) == (True, True, "")


def test_a_run_that_was_longer_is_told_with_step_and_table():
    trace = closed(CASES[0])
    fewer = replace(trace, reads={name: column[:-1] for name, column in trace.reads.items()})
    assert first_difference(trace, fewer).startswith(f"step {trace.reads['step'][-1]}, reads: recorded ")
    assert first_difference(trace, trace) == ""


def test_the_earliest_of_several_differences_is_named():
    trace = closed(CASES[0])
    late, early = trace.steps["compute_us"].copy(), trace.reads["scheduled_tokens"].copy()
    late[-1] += 1
    early[3] += 1
    other = replace(trace, steps={**trace.steps, "compute_us": late}, reads={**trace.reads, "scheduled_tokens": early})
    step = trace.reads["step"][3]
    assert first_difference(trace, other).startswith(
        f"step {step}, reads.scheduled_tokens: recorded {early[3] - 1}, fed"
    )


def test_less_than_a_nanosecond_is_no_difference():
    trace = closed(CASES[0])
    for shift, same in ((4e-4, True), (4e-3, False)):
        moved = replace(trace, steps={**trace.steps, "start_us": trace.steps["start_us"] + shift})
        assert (first_difference(trace, moved) == "") == same


@pytest.mark.parametrize("setting", [{"pool_blocks": 44}, {"quantum_steps": 5}, {"max_num_seqs": 2}])
def test_an_engine_that_decides_otherwise_is_caught(setting):
    trace = closed(CASES[0])
    trace.header["engine"].update(setting)
    found = conform(trace, table(), costs())
    assert not found.decisions
    assert found.difference


def test_bytes_are_compared_apart_from_decisions():
    trace = closed(CASES[0])
    trace.header["served"]["h2d_bytes"] += 1
    found = conform(trace, table(), costs())
    assert (found.decisions, found.bytes) == (True, False)
    assert found.difference.startswith("h2d_bytes: recorded")


def test_a_run_that_was_planned_with_another_calibration_cannot_conform():
    trace = closed(CASES[0])
    trace.header["device"]["status"] = "another"
    assert conform(trace, table(), costs()).difference == "the run was planned with another calibration: another"


def test_the_synthetic_device_is_off_as_it_should_be():
    """Else conformance would be trivial: predictions would be observations."""
    trace = closed(CASES[0], noise=0.2)
    assert np.ptp(trace.steps["compute_us"]) > 100
    assert synthetic.Real(costs()).origin == trace.header["origin"]
