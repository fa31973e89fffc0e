"""plan(k): by hand, and against what the scheduler really does while nobody finishes and nobody arrives."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.plan import Lengths, QueueState, Room, predicted_plan, stay_plan
from pagedkv.engine.replay import Rotation
from pagedkv.engine.view import Planned
from pagedkv.prefetch.base import PrefetchPolicy
from pagedkv.trace import Event
from tests.engine.build import record, replay, serve, table


def blocks_of(request):
    return 100 * request


def test_rotation_enters_a_batch_a_quantum():
    """At step 10 with 3 steps to the rotation, quantum 4, batch 2: two of the queue at 13, two at 17, one at 21."""
    state = QueueState(10, [5, 6, 7, 8, 9], 2, 4, 3)
    planned = stay_plan(state, None, blocks_of)
    assert [(p.step, p.request) for p in planned] == [(13, 5), (13, 6), (17, 7), (17, 8), (21, 9)]
    assert all(p.certain and p.blocks == 100 * p.request for p in planned)


@pytest.mark.parametrize("horizon, seen", [(0, 0), (2, 0), (3, 2), (6, 2), (7, 4), (11, 5), (None, 5)])
def test_horizon_counts_steps(horizon, seen):
    assert len(stay_plan(QueueState(10, [5, 6, 7, 8, 9], 2, 4, 3), horizon, blocks_of)) == seen


def test_without_rotation_only_the_order_is_known():
    planned = stay_plan(QueueState(10, [5, 6], 2, None, None), None, blocks_of)
    assert planned == [Planned(11, 5, 500, certain=False), Planned(12, 6, 600, certain=False)]


def test_an_empty_queue_plans_nothing():
    assert stay_plan(QueueState(0, [], 2, 4, 3), None, blocks_of) == []


class Spy(PrefetchPolicy):
    """Notes the plan at every call and asks for nothing."""

    name, level, spatial = "spy", Level.I4, False

    def __init__(self):
        super().__init__()
        self.plans = []

    def propose(self, view):
        self.plans.append((view.step, view.plan(None), view.plan(None)))
        return []


def test_the_plan_is_what_happens():
    """Rotation of 6 requests in batches of 2, a quantum of 3, all of them long: as long as nobody finishes, each plan
    names step and order of the next entry of every waiting request; and planning twice gives the same."""
    spy, entered = Spy(), {}

    def note(loop):
        for position, request in enumerate(loop.scheduler.running):
            if request.rank not in entered:
                entered[request.rank] = (request.number, loop.step - 1, position)

    options = {"max_num_seqs": 2, "quantum_steps": 3, "pool_blocks": 64}
    serve(table([{"prompt": 20, "output": 30} for _ in range(6)]), spy, settings=options, on_step=note).run()
    assert {number for number, _, _ in entered.values()} == set(range(6))
    history = sorted((step, position, number) for number, step, position in entered.values())
    checked = 0
    # 6 requests, 30 steps each, 2 at a time: nobody finishes before step 80.
    for step, plan, again in spy.plans:
        assert plan == again
        if step + 9 > 80:
            continue
        for p in plan:
            following = next((s, n) for s, _, n in history if s > step and n == p.request)
            assert following == (p.step, p.request)
            checked += 1
    assert checked > 50


class Comparer(Spy):
    """Compares the plan with what will really happen."""

    level = Level.I5

    def propose(self, view):
        self.plans.append((view.step, view.plan(6), view.true_plan(6)))
        return []


def test_the_replayed_plan_is_what_happens():
    """The same from a trace: the plan made of recorded queue deltas equals the entries that follow."""
    rows = [{"prompt": 20, "output": 30} for _ in range(6)]
    trace, _ = record(table(rows), settings={"max_num_seqs": 2, "quantum_steps": 3, "pool_blocks": 64})
    spy = Comparer()
    replay(trace, spy, pool=64, rotation=Rotation(2, 3)).run()
    compared = [(plan, truth) for step, plan, truth in spy.plans if 8 < step < 74]
    assert len(compared) > 10 and all(plan for plan, _ in compared)
    for plan, truth in compared:
        assert plan == truth


# ------------------------------------------------------------ by predicted lengths
def test_the_rest_is_the_median_of_what_outlasted_it():
    lengths = Lengths()
    assert lengths.rest(0) is None
    for tokens in (40, 10, 30, 20):
        lengths.finished(tokens)
    # Above 0: 10, 20, 30, 40, of which the upper median is 30. Above 10: 20, 30, 40. Above 30 only 40.
    assert [lengths.rest(produced) for produced in (0, 9, 10, 20, 30, 40)] == [30, 21, 20, 20, 10, None]


def room(seats, blocks, *ends, need=1):
    return Room(seats, blocks, iter(ends), lambda request: need)


def test_the_queue_takes_the_places_of_those_that_end():
    """At step 10 the batch is full, and running requests end at 15 and 12. Request 5 enters at 12 and 6 at 15; of 7
    and 8 only the order behind them is known."""
    state = QueueState(10, (5, 6, 7, 8), 4, None, None)
    planned = predicted_plan(state, None, blocks_of, room(0, 90, (15, 4), (12, 4)))
    assert [(p.step, p.request) for p in planned] == [(12, 5), (15, 6), (16, 7), (17, 8)]
    assert [p.certain for p in planned] == [True, True, False, False]
    assert [p.blocks for p in planned] == [500, 600, 700, 800]
    ends = (15, 4), (12, 4)
    seen = {horizon: len(predicted_plan(state, horizon, blocks_of, room(0, 90, *ends))) for horizon in range(1, 8)}
    assert seen == {1: 0, 2: 1, 3: 1, 4: 1, 5: 2, 6: 3, 7: 4}
    assert predicted_plan(state, None, blocks_of, room(0, 90)) == stay_plan(state, None, blocks_of)


def test_a_seat_without_room_is_not_enough():
    """One seat and 3 blocks are free, each of the queue needs 5. At 12, 4 blocks and a seat become free: 5 enters and
    leaves 2 blocks. At 15 there are 2 + 1, and at 20 enough for 6; that is the last end."""
    state = QueueState(10, (5, 6, 7), 4, None, None)
    planned = predicted_plan(state, None, blocks_of, room(1, 3, (20, 4), (15, 1), (12, 4), need=5))
    assert [(p.step, p.request, p.certain) for p in planned] == [(12, 5, True), (20, 6, True), (21, 7, False)]


def test_with_seat_and_room_it_waits_for_a_step_only():
    state = QueueState(10, (5, 6, 7), 4, None, None)
    planned = predicted_plan(state, None, blocks_of, room(2, 10, need=5))
    assert [(p.step, p.request, p.certain) for p in planned] == [(11, 5, True), (11, 6, True), (12, 7, False)]


def test_a_place_is_taken_only_until_the_batch_is_rotated_out():
    """Rotation at 13, quantum 4, batch 2. One running request ends at 11: 5 takes its place. The one that would end at
    20 is rotated out, with 5, and 6 and 7 enter; 8 a quantum later."""
    state = QueueState(10, (5, 6, 7, 8), 2, 4, 3)
    planned = predicted_plan(state, None, blocks_of, room(0, 9, (20, 4), (11, 4)))
    assert [(p.step, p.request) for p in planned] == [(11, 5), (13, 6), (13, 7), (17, 8)]


@pytest.mark.parametrize("loop", ["replay", "serve"])
def test_equal_lengths_are_predicted_to_the_step(loop):
    """Seven requests of one prompt step and 20 tokens, two at a time, the second of which came 6 steps later. As soon
    as one has finished, the plan says when each of the next two enters."""

    class Predicts(Spy):
        def propose(self, view):
            self.plans.append((view.step, view.predicted_plan(None)))
            return []

    spy = Predicts()
    rows = [{"prompt": 30, "output": 20, "at": 0.0 if n == 0 else 0.006 + n * 1e-6} for n in range(7)]
    options = {"pool_blocks": 64, "max_num_seqs": 2}
    trace, _ = record(table(rows), settings=options)
    if loop == "replay":
        replay(trace, spy, pool=64, rotation=Rotation(2, None)).run()
    else:
        serve(table(rows), spy, settings=options).run()
    admitted = trace.events["kind"] == Event.ADMIT
    enters = dict(zip(trace.events["request"][admitted], trace.events["step"][admitted], strict=True))
    known = [(step, plan) for step, plan in spy.plans if step > enters[2] and plan]
    assert len(known) > 5
    for _, plan in known:
        assert [(p.step, p.certain) for p in plan[:2]] == [(enters[p.request], True) for p in plan[:2]]
        assert not any(p.certain for p in plan[2:])
