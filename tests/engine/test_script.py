"""Scripts: what a trace means for the memory, on traces written by hand."""

import numpy as np
import pytest

from pagedkv.engine.requests import Request
from pagedkv.engine.scripting import build_script
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event, PlanDelta, Trace
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS
from tests.trace.toy import read


def hand_made() -> Trace:
    """Two requests, five steps. Request 0 computes 20 tokens in step 0 (contents 0 and 1), decodes in 1, is preempted
    in 2, and comes back in 3 with 21 tokens to fill its second block. Request 1 hits content 0 in step 2, computes 16
    more tokens (content 2, full at once), decodes in step 3, and is done: 33 of its 32 + 2 - 1 tokens are computed."""
    made = Recorder()
    for step in range(5):
        made.steps(step, np.array([step * MS]), 0.0, np.array([MS]), 0.25 if step == 2 else 0.0, 0, 0, 1, 0)
    made.table(0, 0, 0, np.array([0, 1]), np.array([4, 5]))
    read(made, 0, 1, 0, 0, 0, 20)
    read(made, 1, 1, 0, 0, 20, 1)
    made.table(2, 1, 0, np.array([0]), np.array([4]))
    made.table(2, 1, 1, np.array([2]), np.array([9]))
    read(made, 2, 1, 1, 1, 16, 16)
    made.table(3, 1, 2, np.array([3]), np.array([8]))
    read(made, 3, 1, 1, 1, 32, 1)
    made.table(3, 0, 0, np.array([0, 1]), np.array([4, 6]))
    read(made, 3, 1, 0, 2, 21, 11)
    made.plan(2, PlanDelta.QUEUE_FRONT, 0)
    made.event(2, 0.002, Event.PREEMPT, 0, 21)
    made.plan(3, PlanDelta.LEAVE_QUEUE, 0)
    done = Request(1, 1, 0, 0.0, 32, 2, np.zeros(0, np.int64))
    done.hit_tokens = 16
    made.request(done)
    made.largest_read_set = 5
    return made.finish({})


def test_script_of_a_hand_made_trace():
    script = build_script(hand_made())
    events = script.events
    assert script.steps == 5 and script.contents == 4 and script.largest_read_set == 5
    assert script.created_step.tolist() == [0, 0, 2, 3]
    assert script.idle_s.tolist() == [0, 0, 0.25, 0, 0]
    assert [sorted(events)] == [[0, 2, 3, 4]]

    assert events[0].created.tolist() == [0, 1]
    assert events[0].filled.tolist() == [0]
    assert [enter.contents.tolist() for enter in events[0].enters] == [[]]

    (leave,) = events[2].leaves
    assert (leave.request, leave.contents.tolist(), leave.partial.tolist(), leave.finished) == (0, [0, 1], [1], False)
    (enter,) = events[2].enters
    assert (enter.request, enter.contents.tolist(), enter.partial.tolist()) == (1, [0], [])
    assert events[2].created.tolist() == [2]
    assert events[2].filled.tolist() == [2]
    assert events[2].queue == [(PlanDelta.QUEUE_FRONT, 0)]

    (enter,) = events[3].enters
    assert (enter.request, enter.contents.tolist(), enter.partial.tolist()) == (0, [0, 1], [1])
    assert events[3].filled.tolist() == [1], "21 + 11 tokens fill the second block"
    assert events[3].created.tolist() == [3]

    by_request = {leave.request: leave for leave in events[4].leaves}
    assert by_request[1].finished and by_request[1].partial.tolist() == [3]
    assert not by_request[0].finished and by_request[0].partial.tolist() == []


def test_next_use_of_a_hand_made_trace():
    """Content 0 is read by the entries of steps 2 and 3, content 1 by that of step 3, the others by none."""
    script = build_script(hand_made())
    assert script.first_use[:2].tolist() == [2, 3]
    assert (script.first_use[2:] > script.steps).all()
    (enter,) = script.events[2].enters
    assert enter.next_use.tolist() == [3]
    assert [(step, request, contents.tolist()) for step, request, contents in script.entries] == [
        (0, 0, []),
        (2, 1, [0]),
        (3, 0, [0, 1]),
    ]


def test_fills_inside_a_run_come_at_their_steps():
    """100 decode steps from 10 computed tokens on: block b is full after token 16 (b + 1), that is at step 16 b + 5."""
    made = Recorder()
    made.steps(0, np.arange(100) * MS, 0.0, np.full(100, MS), 0.0, 0, 1, 1, 0)
    made.table(0, 0, 0, np.arange(7), np.arange(1, 8))
    read(made, 0, 100, 0, 0, 10, 1)
    made.largest_read_set = 7
    script = build_script(made.finish({}))
    filled = {step: events.filled.tolist() for step, events in script.events.items() if len(events.filled)}
    assert filled == {16 * b + 5: [b] for b in range(6)}


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda made: read(made, 0, 1, 9, 9, 0, 1), "request 9 reads at step 0, but has no block table"),
        (lambda made: made.table(0, 0, 1, np.array([5]), np.array([3])), "content 1 is in no block table"),
    ],
)
def test_a_trace_that_contradicts_itself_is_refused(spoil, message):
    made = Recorder()
    made.steps(0, np.zeros(1), 0.0, np.full(1, MS), 0.0, 0, 1, 1, 0)
    made.table(0, 0, 0, np.array([0]), np.array([1]))
    read(made, 0, 1, 0, 0, 0, 1)
    spoil(made)
    with pytest.raises(PagedKVError, match=message):
        build_script(made.finish({}))


def test_a_trace_without_steps_is_refused():
    with pytest.raises(PagedKVError, match="trace of scenario 'void' has no steps"):
        build_script(Recorder().finish({"scenario": "void"}))
