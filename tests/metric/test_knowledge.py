"""rho and k* on scripts worked by hand. A step takes 2 s, a submission 0.5 s, a block 0.25 s."""

import math

import numpy as np
import pytest

from pagedkv.engine.script import Enter, Script, StepEvents
from pagedkv.metric.knowledge import entry_events, knowledge
from pagedkv.trace.schema import PlanDelta

STEP_S, SUBMIT_S, BLOCK_S = 2.0, 0.5, 0.25
NONE = np.zeros(0, np.int64)
BACK, LEAVE = int(PlanDelta.QUEUE_BACK), int(PlanDelta.LEAVE_QUEUE)


def script(steps, joins, enters, idle=None):
    """`joins`: step -> requests that join the queue there; `enters`: step -> {request: contents it reads}."""
    events: dict[int, StepEvents] = {}
    for step, requests in joins.items():
        events.setdefault(step, StepEvents()).queue += [(BACK, request) for request in requests]
    for step, entering in enters.items():
        at = events.setdefault(step, StepEvents())
        at.queue += [(LEAVE, request) for request in entering]
        at.enters += [Enter(request, np.array(contents), NONE, 0) for request, contents in entering.items()]
    idle_s = np.zeros(steps) if idle is None else np.array(idle, float)
    compute_s = np.full(steps, STEP_S)
    return Script(compute_s, idle_s, events, np.array(sorted(events)), 99, NONE, NONE, [], 0)


def measured(made, misses, first_step=0):
    events = entry_events(made, [(step, np.array(contents)) for step, contents in misses], first_step)
    return events, knowledge(events, made, SUBMIT_S, BLOCK_S, 8)


def test_a_queued_arrival_is_known_for_its_queue_delay():
    """Request 7 joins at step 3 and enters at step 8: 5 steps, 10 s. Of its blocks 0-3 three are missing."""
    made = script(10, {3: [7]}, {8: {7: [0, 1, 2, 3]}})
    (event,), known = measured(made, [(8, [0, 1, 3])])
    assert (event.step, event.blocks, event.unknowable_blocks, event.notice_s) == (8, 3, 0, 10.0)
    assert known.rho == known.rho_p50 == known.rho_p90 == pytest.approx((0.5 + 3 * 0.25) / 10)
    assert known.unknowable_share == 0
    assert known.k_star == 1  # three blocks, 0.25 s and an eighth of a submission each; a step takes 2 s


def test_idle_time_in_the_queue_counts():
    """The engine is idle for 5 s before step 6: 5 steps and 5 s."""
    idle = [0, 0, 0, 0, 0, 0, 5, 0, 0, 0]
    (event,), _ = measured(script(10, {3: [7]}, {8: {7: [0]}}, idle), [(8, [0])])
    assert event.notice_s == 15.0


def test_what_arrives_and_is_admitted_at_once_is_unknowable():
    """Both requests enter at the boundary at which they arrive: A = 0."""
    made = script(9, {2: [1], 5: [2]}, {2: {1: [0, 1]}, 5: {2: [4]}})
    events, known = measured(made, [(2, [0, 1]), (5, [4])])
    assert [(event.blocks, event.unknowable_blocks, event.notice_s) for event in events] == [(2, 2, 0.0), (1, 1, 0.0)]
    assert known.rho == math.inf
    assert math.isnan(known.rho_p50)
    assert known.unknowable_share == 1


def test_the_unknowable_share_is_a_share_of_blocks():
    """At step 6 request 1 enters from the queue with three blocks, and request 2 as it arrives with one."""
    made = script(9, {2: [1], 6: [2]}, {6: {1: [0, 1, 2], 2: [8]}})
    events, known = measured(made, [(6, [0, 1, 2, 8])])
    assert known.unknowable_share == 0.25
    assert events[0].notice_s == 4 * STEP_S


def test_a_block_that_is_on_the_gpu_is_no_load_and_an_entry_without_loads_no_event():
    made = script(9, {1: [1, 2]}, {3: {1: [0, 1]}, 6: {2: [5]}})
    events, known = measured(made, [(6, [5])])
    assert [event.step for event in events] == [6]
    assert known.rho == pytest.approx(0.75 / 10)


def test_on_a_rotation_rho_is_v_tau_over_q_c():
    """Three requests of V = 12 blocks take turns for q = 4 steps of c = 2 s. Each is named two quanta before its turn,
    but the link serves one entry at a time: what is known ahead is one quantum. Without a cost of submission, rho is
    V tau / (q c) = 12 * 0.25 / (4 * 2). Only the first turn, with nothing before it, is known for two quanta."""
    blocks = {request: list(range(12 * request, 12 * request + 12)) for request in range(3)}
    turns = {8 + 4 * turn: turn % 3 for turn in range(10)}
    joins = {step - 8: [request] for step, request in turns.items()}
    made = script(48, joins, {step: {request: blocks[request]} for step, request in turns.items()})
    misses = [(step, np.array(blocks[request])) for step, request in turns.items()]
    events = entry_events(made, misses, first_step=9)
    assert {event.notice_s for event in events[1:]} == {4 * STEP_S}
    known = knowledge(events[1:], made, 0.0, BLOCK_S, 8)
    assert known.rho == known.rho_p50 == pytest.approx(12 * BLOCK_S / (4 * STEP_S))
    assert known.k_star == math.ceil(12 * BLOCK_S / STEP_S)


def test_overlapping_notices_count_once():
    """Requests 1 and 2 are both named at step 1 and enter at steps 5 and 7: together 4 + 2 steps are known ahead."""
    made = script(9, {1: [1, 2]}, {5: {1: [0]}, 7: {2: [1]}})
    events, known = measured(made, [(5, [0]), (7, [1])])
    assert [event.notice_s for event in events] == [8.0, 4.0]
    assert known.rho == pytest.approx(2 * 0.75 / 12)
    assert (known.rho_p50, known.rho_p90) == pytest.approx((np.mean([0.75 / 8, 0.75 / 4]), 0.75 / 8 + 0.9 * 0.75 / 8))


def test_a_request_that_comes_back_is_named_by_its_last_joining():
    """Request 1 joins at 0, enters at 1, joins again at 4 and enters at 6: two steps."""
    made = script(9, {0: [1], 4: [1]}, {1: {1: [0]}, 6: {1: [0]}})
    events, _ = measured(made, [(6, [0])])
    assert [event.notice_s for event in events] == [2 * STEP_S]


def test_the_warm_up_is_cut_and_nothing_left_is_nan():
    made = script(9, {1: [1, 2]}, {3: {1: [0]}, 6: {2: [5]}})
    assert [event.step for event in measured(made, [(3, [0]), (6, [5])], first_step=4)[0]] == [6]
    _, known = measured(made, [(3, [0])], first_step=4)
    assert all(math.isnan(value) for value in vars(known).values())
