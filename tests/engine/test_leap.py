"""Steps taken together give what steps taken one by one give: slots, tables and decisions exactly, times but for
rounding."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from pagedkv.conformance.steps import aspects, kept
from pagedkv.device.cost import MeasuredCost, PathCost, Table
from pagedkv.engine.ladder import Level
from pagedkv.eviction.registry import EVICTIONS
from tests.engine.build import calibration, record, table
from tests.engine.strategies import engine_settings, request_tables

GROWING = calibration(memory_bytes_per_s=1e9)
"""A token of context costs 0.256 us a step, so that a step takes longer than the one before."""
EXACT = calibration(step_s=2.0**-10, memory_bytes_per_s=math.inf)
"""Equal steps whose sums are exact: a time to the last bit does not depend on the order of additions."""
MEASURED = replace(
    calibration(),
    compute=MeasuredCost(
        "tiny",
        PathCost(1e-4, Table(((1, 8e-4), (2, 9e-4), (4, 1.2e-3))), Table(((1, 2e-6), (4, 1e-6)))),
        PathCost(3e-4, Table(((16, 2e-3), (64, 3e-3))), Table(((16, 1e-6),)), 1e-8),
    ),
)
"""Tables: a batch costs what its bucket costs, and a token of context costs more in a small one."""


def compare(requests, options, costs=GROWING, eviction="lru"):
    """Record with and without leaping, compare all that both must agree on, and return both loops."""
    one, slow = record(requests, settings=options, leaping=False, calibration=costs, eviction=eviction)
    many, fast = record(requests, settings=options, leaping=True, calibration=costs, eviction=eviction)
    for name in ("tables", "plans", "requests"):
        for column, values in getattr(one, name).items():
            if column != "arrival_us":
                assert np.array_equal(values, getattr(many, name)[column]), (name, column)
    for name in ("steps", "events", "reads"):
        for column, values in getattr(one, name).items():
            leapt = getattr(many, name)[column]
            np.testing.assert_allclose(leapt, values, rtol=1e-9, atol=1e-6, err_msg=f"{name} {column}")
    assert many.header == one.header
    assert fast.served.elapsed_s == pytest.approx(slow.served.elapsed_s)
    assert fast.served.batch_seconds == pytest.approx(slow.served.batch_seconds)
    assert fast.memory.counts.stall_s == pytest.approx(slow.memory.counts.stall_s)
    return slow, fast


@settings(max_examples=100)
@given(request_tables(most=5, output=80), engine_settings())
def test_leaping_equals_single_steps(requests, options):
    slow, fast = compare(requests, options)
    assert fast.iterations <= slow.iterations


@settings(max_examples=25)
@given(request_tables(most=5, output=80), engine_settings())
def test_leaping_equals_single_steps_on_measured_costs(requests, options):
    compare(requests, options, MEASURED)


@pytest.mark.parametrize("eviction", [name for name, policy in EVICTIONS.all().items() if policy.level <= Level.I4])
@settings(max_examples=15)
@given(requests=request_tables(most=5, output=80), options=engine_settings())
def test_leaping_equals_single_steps_under_every_eviction(eviction, requests, options):
    compare(requests, options, eviction=eviction)


def test_a_long_decode_is_a_few_leaps():
    slow, fast = compare(table([{"prompt": 10, "output": 3000}]), {"pool_blocks": 256})
    assert slow.iterations >= 3000
    assert fast.iterations < 10


def test_an_arrival_exactly_at_a_boundary_ends_the_leap():
    """A request that arrives at the very instant at which a step ends is admitted at that boundary."""
    rows = [{"prompt": 10, "output": 60}]
    for step in (5, 17, 40):
        slow, fast = compare(table([*rows, {"prompt": 10, "output": 5, "at": step * 2.0**-10}]), {}, EXACT)
        # One step for its prompt, and no wait before it.
        assert slow.served.ttft_s[0] == fast.served.ttft_s[0] == 2.0**-10


@pytest.mark.parametrize("leaping", [True, False])
def test_of_equal_blocks_the_one_that_fills_first_is_found(leaping):
    """Request 1, behind in the batch, is eight tokens ahead. Bug: the blocks of request 0 were found after a leap."""
    ids = [1, 2, 3, 4, 5]
    rows = [{"prompt": 20, "output": 60, "ids": ids}, {"prompt": 28, "output": 50, "ids": ids[:4]}]
    rows.append({"prompt": 70, "output": 2, "ids": ids[:4], "at": 1.0})
    options = {"host_blocks": 0, "preemption": "recompute", "pool_blocks": 32}
    trace, _ = record(table(rows), settings=options, leaping=leaping)
    slots = {(request, block): slot for request, block, slot in aspects(kept(trace))["blocks"].values.tolist()}
    assert [slots[2, block] for block in (1, 2)] == [slots[1, block] for block in (1, 2)]
