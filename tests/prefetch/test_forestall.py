"""Forestall starts when waiting would cost something."""

import pytest

from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.forestall import Forestall
from tests.prefetch.schedules import by, view

PLAN = [by(4, step=20, blocks=3), by(5, step=22, blocks=9), by(6, step=40, blocks=2)]
"""With 1 s a step and a fetch: the 3rd missing block is due at 20, the 12th at 22, the 14th at 40. A fetch of 3 has to
start by 17, of 12 by 10, of 14 by 26."""


@pytest.mark.parametrize(
    "step, requests, wake", [(9, [], 10), (10, [4, 5], 26), (17, [4, 5], 26), (26, [4, 5, 6], None)]
)
def test_up_to_the_last_block_that_would_be_late(step, requests, wake):
    policy, now = Forestall(), view(step, plan=PLAN)
    assert [fetch.stream for fetch in policy.propose(now)] == requests
    assert policy.wake_step(now) == wake


def test_blocks_that_are_there_need_no_time():
    """Of the 9 blocks of request 5 one is missing: the 4th missing block is due at 22, so that 18 is early enough for
    it, and 17 for request 4."""
    policy = Forestall()
    now = view(16, plan=PLAN[:2], absent={5: 1})
    assert policy.propose(now) == []
    assert policy.wake_step(now) == 17
    assert [fetch.stream for fetch in policy.propose(view(17, plan=PLAN[:2], absent={5: 1}))] == [4]


def test_nothing_is_looked_up_for_what_cannot_be_urgent():
    """At step 0 all 14 blocks would take until 14."""
    asked = []
    policy = Forestall()
    now = view(0, plan=PLAN, absent_of=lambda request: asked.append(request) or 0)
    assert policy.propose(now) == [] and asked == []
    assert policy.wake_step(now) == 10


def test_while_it_fetches_the_reason_stays_true():
    """Begun at 10, with one block a step: at 15, 5 blocks are there; 7 are missing until 22, 7 steps ahead."""
    now = view(15, plan=PLAN, absent={4: 0, 5: 7})
    assert Forestall().propose(now) == [Fetch(4, 0, 3, 20), Fetch(5, 0, 9, 22)]


def test_a_start_between_two_boundaries_is_made_at_the_one_before():
    """3 blocks of 0.5 s are due at 20: at 18.5 it would be time, so 18 is the last chance; one block of 0.1 s has until
    19. With a margin of 2 they count as 3 s and 0.2 s."""
    for load_s, blocks, margin, start in [(0.5, 3, 1.0, 18), (0.1, 1, 1.0, 19), (0.5, 3, 2.0, 17), (0.1, 1, 2.0, 19)]:
        policy, plan = Forestall(margin=margin), [by(4, step=20, blocks=blocks)]
        assert policy.propose(view(start - 1, plan=plan, block_load_s=load_s)) == []
        assert policy.wake_step(view(0)) == start
        assert policy.propose(view(start, plan=plan, block_load_s=load_s)) == [Fetch(4, 0, blocks, 20)]


def test_an_order_without_times_does_not_come_nearer():
    policy = Forestall()
    assert policy.propose(view(0, plan=[by(4, step=20, blocks=3, certain=False)])) == []
    assert policy.wake_step(view(0)) is None


def test_in_an_idle_time_what_is_due_at_its_end_is_urgent():
    assert [fetch.stream for fetch in Forestall().propose(view(20, plan=PLAN[:1]))] == [4]
