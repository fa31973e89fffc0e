"""HiCache policies: a prefetch starts when a request enters the queue; the rules by which the scheduler stops it."""

import pytest

from pagedkv.prefetch._queue_entry import QueueEntryPolicy
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.best_effort import BestEffort
from pagedkv.prefetch.timeout import Timeout
from pagedkv.prefetch.wait_complete import WaitComplete
from tests.prefetch.schedules import by, view

EVERY = [BestEffort, WaitComplete, Timeout]
QUEUE = [by(7, step=11, blocks=20), by(4, step=12, blocks=15), by(9, step=13, blocks=30)]
"""15 blocks are 240 tokens, below the 256 that are worth a prefetch."""


def requests(policy: QueueEntryPolicy, *args: object, **fields: object) -> list[int]:
    return [fetch.stream for fetch in policy.propose(view(*args, **fields))]


@pytest.mark.parametrize("policy", EVERY)
def test_in_queue_order_and_not_for_little(policy):
    assert policy().propose(view(10, plan=QUEUE)) == [Fetch(7, 0, 20, 11), Fetch(9, 0, 30, 12)]
    assert policy.at_queue_entry is True


def test_little_is_what_is_missing():
    """Of the 30 blocks of request 9, 16 are missing (256 tokens) or 15; of a resident one, none."""
    for missing, fetched in [(16, [9]), (15, []), (0, [])]:
        assert requests(BestEffort(), 10, plan=QUEUE[2:], absent={9: missing}) == fetched
    assert requests(BestEffort(least_tokens=0), 10, plan=QUEUE, absent={9: 0}) == [7, 4]


def test_the_decision_is_made_at_the_entry_and_again_at_the_next_one():
    """Request 9 misses little when it enters. That its blocks are evicted later starts nothing; that it runs and comes
    back does. The prefetch of 7 is asked for until 7 leaves the queue."""
    policy = BestEffort()
    assert requests(policy, 10, plan=[QUEUE[0], QUEUE[2]], absent={9: 2}) == [7]
    assert requests(policy, 11, plan=[QUEUE[0], QUEUE[2]], absent={7: 3, 9: 30}) == [7]
    assert requests(policy, 12, plan=[QUEUE[0]], absent={7: 0}) == [7]
    assert requests(policy, 13, plan=[QUEUE[2]]) == [9]


def test_threshold_start_stops_at_four_fifths_of_the_room():
    """The batch reads 40 of 100: prefetches may hold 48 when a further one starts. 7 starts at 0, 9 at 20, 5 at 50 no
    more; it enters once, and gets none even when there is room later. 6, which enters then, does."""
    policy = WaitComplete(start="threshold")
    queue = [QUEUE[0], QUEUE[2], by(5, step=14, blocks=20)]
    assert requests(policy, 10, plan=queue, batch_blocks=40) == [7, 9]
    assert requests(policy, 11, plan=[*queue[1:], by(6, step=15, blocks=20)], batch_blocks=40) == [9, 6]


def test_best_effort_never_waits_and_wait_complete_always():
    assert BestEffort().stop(0.0, 100_000) is True
    assert WaitComplete().stop(1e9, 16) is False


@pytest.mark.parametrize(
    "parameters, tokens, limit_s",
    [
        ({}, 10240, 3.0),
        ({}, 1024 * 500, 30.0),
        ({"base_s": 1.0, "per_ki_s": 0.25, "max_s": None}, 1024 * 500, 126.0),
    ],
)
def test_timeout(parameters, tokens, limit_s):
    """2 s and 0.1 s for each 1024 tokens, at most 30 s; before April 2026, 1 s and 0.25 s without a cap."""
    policy = Timeout(**parameters)
    assert (policy.stop(limit_s, tokens), policy.stop(limit_s + 1e-6, tokens)) == (False, True)
