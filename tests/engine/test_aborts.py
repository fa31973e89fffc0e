"""Requests that their clients give up: gone at the next boundary, their blocks free as vLLM frees them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.engine.aborts import Aborts
from pagedkv.trace import Event
from tests.engine.build import checked, record, replay, table
from tests.engine.strategies import POLICIES, engine_settings, request_tables


def events(trace, kind):
    rows = trace.events
    chosen = rows["kind"] == kind
    return list(zip(rows["step"][chosen].tolist(), rows["request"][chosen].tolist(), strict=True))


def test_they_are_due_in_order_of_time_and_wait_for_a_request_that_is_still_to_arrive():
    aborts = Aborts({5: 2.0, 3: 1.0, 4: 0.5})
    assert aborts.next_s == 0.5
    assert aborts.due(0.4, {3: None, 5: None}) == []
    assert aborts.due(2.0, {3: None, 5: None}) == [3, 5]
    assert aborts.next_s == float("inf")
    assert aborts.due(2.0, {4: None}) == [4]
    assert aborts.due(9.0, {4: None}) == []


@pytest.mark.parametrize("leaping", [True, False])
def test_a_running_request_ends_at_the_first_boundary_at_or_after_its_time(leaping):
    """A step takes 1 ms: at 3.5 ms four steps have begun."""
    requests = table([{"prompt": 20, "output": 30}, {"prompt": 20, "output": 10}])
    trace, loop = record(requests, aborts={0: 0.0035}, leaping=leaping)
    assert events(trace, Event.ABORT) == [(4, 0)]
    assert events(trace, Event.FINISH) == [(10, 1)]
    assert trace.events["value"][trace.events["kind"] == Event.ABORT].tolist() == [23]
    assert trace.requests["request"].tolist() == [1]
    assert loop.served.aborted == 1
    assert loop.memory.tiers.pool.available == loop.memory.tiers.pool.usable


def test_a_waiting_request_gives_its_place_to_the_next():
    requests = table([{"prompt": 20, "output": 9}, {"prompt": 20, "output": 9}, {"prompt": 20, "output": 9}])
    trace, _ = record(requests, aborts={1: 0.002}, settings={"max_num_seqs": 1})
    assert events(trace, Event.ADMIT) == [(0, 0), (9, 2)]


def test_a_request_that_is_done_cannot_be_given_up():
    trace, loop = record(table([{"prompt": 20, "output": 3}]), aborts={0: 1.0})
    assert events(trace, Event.ABORT) == [] and loop.served.aborted == 0


def test_its_session_goes_on_after_the_pause():
    requests = table(
        [{"prompt": 20, "output": 30, "session": 1}, {"prompt": 20, "output": 2, "session": 1, "turn": 1, "pause": 0.5}]
    )
    trace, _ = record(requests, aborts={0: 0.002})
    arrival_us = trace.requests["arrival_us"].tolist()
    assert events(trace, Event.FINISH)[0][1] == 1 and arrival_us == pytest.approx([502_000.0], abs=1.0)


def test_its_full_blocks_can_be_found_and_its_partial_one_is_reused_first():
    ids = [1, 2]
    first = {"prompt": 40, "output": 30, "ids": ids}
    trace, _ = record(
        table([first, {"prompt": 40, "output": 2, "ids": ids, "at": 0.01}]),
        aborts={0: 0.003},
        settings={"host_blocks": 0, "preemption": "recompute"},
    )
    admitted = trace.events["kind"] == Event.ADMIT
    assert trace.events["value"][admitted].tolist() == [0, 32]
    second = trace.tables["request"] == 1
    assert trace.tables["first_slot"][second].tolist() == [1, 3]


@settings(max_examples=60)
@given(request_tables(), engine_settings(), POLICIES, st.data())
def test_nothing_is_lost_whoever_gives_up(requests, options, policy, data):
    """The loop checks every queue, reference and slot after each boundary."""
    rows = data.draw(st.sets(st.integers(0, len(requests) - 1)))
    aborts = {row: data.draw(st.sampled_from([0.0, 0.0031, 0.02, 0.05, 0.25])) for row in sorted(rows)}
    for async_loads in (False, True):
        name, parameters = policy
        if async_loads and name in ("enst", "queue_la"):
            continue
        trace, loop = record(
            requests, policy=name, params=parameters, settings=options, aborts=aborts, async_loads=async_loads
        )
        finished, aborted = len(events(trace, Event.FINISH)), len(events(trace, Event.ABORT))
        assert finished + aborted + loop.served.dropped == len(requests)
        assert loop.memory.tiers.states.references.sum() == 0 and loop.kv.live_blocks == 0


@settings(max_examples=40)
@given(request_tables(), engine_settings(), st.data())
def test_leaping_changes_nothing(requests, options, data):
    aborts = {row: data.draw(st.sampled_from([0.0031, 0.02, 0.05])) for row in range(0, len(requests), 2)}
    leaping, stepping = (record(requests, settings=options, aborts=aborts, leaping=leaps)[0] for leaps in (True, False))
    for name in ("reads", "tables", "events", "plans"):
        for column, values in getattr(leaping, name).items():
            assert values.tolist() == pytest.approx(getattr(stepping, name)[column].tolist()), (name, column)


@settings(max_examples=40)
@given(request_tables(), engine_settings(), st.data())
def test_the_trace_can_be_replayed(requests, options, data):
    aborts = {row: data.draw(st.sampled_from([0.0031, 0.02, 0.05])) for row in range(0, len(requests), 2)}
    trace, _ = record(requests, settings=options, aborts=aborts)
    if len(trace.steps["step"]):
        run = checked(replay(trace, pool=options["pool_blocks"]))
        run.run()
        assert run.memory.counts.entries == len(events(trace, Event.ADMIT)) + len(events(trace, Event.RESUME))
