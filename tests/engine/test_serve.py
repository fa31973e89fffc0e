"""The closed loop as a whole: every request is served once and in full, nothing leaks, and leaping changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.engine.demand import DLayer, DPage, DStep
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS, calibration, record, serve, table
from tests.engine.strategies import POLICIES, engine_settings, request_tables

DEMANDS = st.sampled_from([DStep(), DLayer(), DPage(), DPage(20.0), "D-async"])


def drained(loop):
    """The loop's tiers after all transfers are seen complete."""
    while loop.memory.tiers.wait_for_a_transfer():
        pass
    return loop.memory.tiers


@settings(max_examples=250)
@given(request_tables(), engine_settings(), POLICIES, DEMANDS)
def test_every_request_is_served_once_and_nothing_leaks(requests, options, policy, demand):
    recorder = Recorder()
    loop = serve(
        requests,
        policy[0],
        params=policy[1],
        settings=options,
        recorder=recorder,
        async_loads=demand == "D-async",
        demand=None if demand == "D-async" else demand,
        calibration=calibration(submit_s=1e-4),
    )
    served = loop.run()
    trace = recorder.finish({})

    fits = -(-(requests.prompt_tokens + requests.output_tokens) // 16) < options["pool_blocks"]
    finished = trace.events["request"][trace.events["kind"] == Event.FINISH]
    assert sorted(finished.tolist()) == sorted(trace.requests["request"].tolist()), "a request finished twice or never"
    assert len(finished) + served.dropped == len(requests)
    assert fits[finished].all()
    assert served.output_tokens == requests.output_tokens[finished].sum()
    gaps, counts = served.token_gaps()
    assert counts.sum() == served.output_tokens - len(finished), "each token but the first ends one gap"
    assert (gaps > 0).all()

    tiers = drained(loop)
    assert loop.scheduler.live == 0
    assert not tiers.states.references.any()
    assert tiers.loading_blocks == 0 and not tiers.states.storing.any()
    assert tiers.pool.available == tiers.pool.usable
    tiers.assert_consistency()


@settings(max_examples=150)
@given(request_tables(most=5, output=80), engine_settings())
def test_leaping_equals_single_steps(requests, options):
    one, slow = record(requests, settings=options, leaping=False)
    many, fast = record(requests, settings=options, leaping=True)
    assert fast.iterations <= slow.iterations
    for name in ("tables", "plans", "requests"):
        for column, values in getattr(one, name).items():
            if column != "arrival_us":
                assert np.array_equal(values, getattr(many, name)[column]), (name, column)
    for name in ("steps", "events", "reads"):
        for column, values in getattr(one, name).items():
            np.testing.assert_allclose(getattr(many, name)[column], values, rtol=1e-9, atol=1e-6, err_msg=f"{name} {column}")
    assert many.header == one.header
    assert fast.served.elapsed_s == pytest.approx(slow.served.elapsed_s)
    assert fast.served.batch_seconds == pytest.approx(slow.served.batch_seconds)
    assert fast.memory.counts.stall_s == pytest.approx(slow.memory.counts.stall_s)
