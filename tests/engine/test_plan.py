"""plan(k): by hand, and against what the scheduler really does while nobody finishes and nobody arrives."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.plan import QueueState, stay_plan
from pagedkv.engine.replay import Rotation
from pagedkv.engine.view import Planned
from pagedkv.prefetch.base import PrefetchPolicy
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
