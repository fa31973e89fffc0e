"""Asynchronous scheduling: a step is scheduled when the one before it begins (vLLM itself: tests/conformance)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.trace import Event
from tests.engine.build import record, serve, table
from tests.engine.strategies import engine_settings, request_tables

VLLM = {"host_blocks": 0, "preemption": "recompute", "quantum_steps": None}


def late(requests, **more):
    return record(requests, async_scheduling=True, settings={**VLLM, **more.pop("settings", {})}, **more)


def events(trace, kind):
    rows = trace.events
    chosen = rows["kind"] == kind
    return list(zip(rows["step"][chosen].tolist(), rows["request"][chosen].tolist(), strict=True))


def test_one_request_takes_as_many_steps_as_without():
    requests = table([{"prompt": 100, "output": 5}])
    assert len(late(requests)[0].steps["step"]) == len(record(requests, settings=VLLM)[0].steps["step"])


def test_a_place_is_free_a_step_later():
    """Request 0 gets its last token in step 2; step 3 is scheduled without knowing that."""
    requests = table([{"prompt": 4, "output": 3}, {"prompt": 4, "output": 9}, {"prompt": 4, "output": 3}])
    assert events(record(requests, settings=VLLM | {"max_num_seqs": 2})[0], Event.ADMIT)[-1] == (3, 2)
    assert events(late(requests, settings={"max_num_seqs": 2})[0], Event.ADMIT)[-1] == (4, 2)


def test_who_arrives_while_a_step_runs_is_in_the_one_after_the_next():
    """A step takes 1 ms. At 0.5 ms step 1 is scheduled already."""
    requests = table([{"prompt": 4, "output": 9}, {"prompt": 4, "output": 3, "at": 0.0005}])
    assert events(record(requests, settings=VLLM)[0], Event.ADMIT) == [(0, 0), (1, 1)]
    assert events(late(requests)[0], Event.ADMIT) == [(0, 0), (2, 1)]


def test_a_request_may_finish_in_the_queue():
    """Both need a block in step 3, in which the second one has its last token in flight."""
    requests = table([{"prompt": 46, "output": 30}, {"prompt": 46, "output": 3}])
    trace, loop = late(requests, settings={"pool_blocks": 7, "max_num_batched_tokens": 128})
    assert events(trace, Event.PREEMPT) == [(3, 1)]
    assert events(trace, Event.FINISH)[0] == (4, 1) and events(trace, Event.RESUME) == []
    assert loop.memory.tiers.pool.available == loop.memory.tiers.pool.usable


@pytest.mark.parametrize("wrong", [{"host_blocks": 4}, {"preemption": "swap"}, {"quantum_steps": 4}])
def test_what_vllm_does_not_do_is_refused(wrong):
    requests = table([{"prompt": 4, "output": 3}])
    with pytest.raises(PagedKVError, match="asynchronous scheduling needs host_blocks 0"):
        serve(requests, async_scheduling=True, settings={**VLLM, **wrong})


@settings(max_examples=150)
@given(request_tables(), engine_settings(), st.data())
def test_nothing_is_lost(requests, options, data):
    """The loop checks every queue, reference and slot after each boundary."""
    rows = data.draw(st.sets(st.integers(0, len(requests) - 1)))
    aborts = {row: data.draw(st.sampled_from([0.0, 0.0031, 0.02, 0.05, 0.25])) for row in sorted(rows)}
    trace, loop = late(requests, settings=options | VLLM, aborts=aborts)
    finished, aborted = len(events(trace, Event.FINISH)), len(events(trace, Event.ABORT))
    assert finished + aborted + loop.served.dropped == len(requests)
    assert loop.memory.tiers.states.references.sum() == 0 and loop.kv.live_blocks == 0
    computed = trace.reads["computed_tokens"] + trace.reads["steps"] * trace.reads["scheduled_tokens"]
    for request, prompt, output in zip(
        *(trace.requests[name].tolist() for name in ("request", "prompt_tokens", "output_tokens")), strict=True
    ):
        assert computed[trace.reads["request"] == request].max() == prompt + output - 1
