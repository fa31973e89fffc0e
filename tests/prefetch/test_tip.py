"""TIP compares what an early fetch saves with what its room is worth elsewhere.

Steps and fetches take 1 s, the capacity is 100. Request 4 misses 3 blocks at step 20. Starting them at 17 rather than
at 18 saves a step of stall, a third of it for each block; starting them at 16 saves nothing over 17."""

import pytest

from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.tip import Tip
from tests.prefetch.schedules import by, faults, view

NEXT = by(4, step=20, blocks=3)
FETCHED = [Fetch(4, 0, 3, 20)]


@pytest.mark.parametrize("step, fetched, wake", [(16, [], 17), (17, FETCHED, None), (19, FETCHED, None)])
def test_a_free_slot_costs_nothing_and_too_early_saves_nothing(step, fetched, wake):
    policy, now = Tip(), view(step, plan=[NEXT], free_blocks=3)
    assert policy.propose(now) == fetched
    assert policy.wake_step(now) == wake


@pytest.mark.parametrize("count, fetched", [(30, FETCHED), (34, [])])
def test_unplanned_blocks_cost_the_faults_that_they_prevent(count, fetched):
    """30 faults a step over 100 slots: another slot would save 0.30 loads of 1 s a step, less than a third; 34 faults:
    more. The only planned block, 3 steps ahead, is worth 1 / 2."""
    assert Tip().propose(view(17, plan=[NEXT], accesses=faults(count))) == fetched


def test_faults_are_counted_a_step():
    """100 faults in the first step cost 1.0 a slot; spread over 4 steps, 0.25."""
    policy = Tip()
    assert policy.propose(view(17, plan=[NEXT], accesses=faults(100))) == []
    later = by(4, step=24, blocks=3)
    assert policy.propose(view(21, plan=[later])) == [Fetch(4, 0, 3, 24)]


@pytest.mark.parametrize("furthest, fetched", [(22, FETCHED), (21, [])])
def test_a_hinted_block_costs_its_fetch_spread_over_its_distance(furthest, fetched):
    """50 faults a step make unplanned blocks dear. Request 5, all of it there, is used 5 steps ahead: 1 / 4; or 4 steps
    ahead: 1 / 3, which is no more than it."""
    hinted = by(5, step=furthest, blocks=8)
    now = view(17, plan=[NEXT, hinted], absent={5: 0}, accesses=faults(50))
    assert Tip().propose(now) == fetched


def test_an_uncertain_use_saves_less():
    """A third times `sure` against 0.2."""
    for sure, fetched in [(0.5, []), (0.7, FETCHED)]:
        now = view(17, plan=[by(4, step=20, blocks=3, certain=False)], accesses=faults(20))
        policy = Tip(sure=sure)
        assert policy.propose(now) == fetched
        assert policy.wake_step(now) is None


def test_what_is_not_worth_it_yet_is_looked_at_again():
    """2 s a fetch, 7 missing blocks at 20: they have to start within 6, at 14. At 6 they would take until 20; a start
    one step later costs 1 s, a seventh of it each, less than 0.2: it never is worth it, and the policy need not wake.
    With 3 blocks at 1.5 s the start is at 15.5: at 16 half a step has been lost, at 15 half a step is saved."""
    policy, now = Tip(), view(6, plan=[by(4, step=20, blocks=7)], block_load_s=2.0, accesses=faults(10))
    assert policy.propose(now) == [] and policy.wake_step(now) is None
    policy, now = Tip(), view(15, plan=[by(4, step=20, blocks=3)], block_load_s=1.5, accesses=faults(12))
    assert policy.propose(now) == [] and policy.wake_step(now) == 16


def test_a_margin_lengthens_the_fetch():
    """Three blocks that count as 6 seconds have to start at 14."""
    policy, now = Tip(margin=2.0), view(13, plan=[NEXT], free_blocks=3)
    assert policy.propose(now) == [] and policy.wake_step(now) == 14
    assert policy.propose(view(14, plan=[NEXT], free_blocks=3)) == FETCHED


def test_what_is_there_is_spared():
    """Request 4 is on the GPU. Its blocks are named, so that fetches of request 5 do not evict them."""
    plan = [NEXT, by(5, step=21, blocks=4)]
    assert Tip().propose(view(18, plan=plan, absent={4: 0}, free_blocks=4)) == [Fetch(4, 0, 3, 20), Fetch(5, 0, 4, 21)]
