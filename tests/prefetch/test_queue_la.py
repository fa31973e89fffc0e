"""Queue lookahead: the window over the queue, and what stays."""

import pytest

from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.queue_la import QueueLookahead
from tests.prefetch.schedules import by, view

QUEUE = [by(7, step=11, blocks=30), by(4, step=12, blocks=0), by(9, step=13, blocks=60), by(2, step=14, blocks=10)]


@pytest.mark.parametrize("w, requests", [(1, [7]), (2, [7]), (3, [7, 9]), (9, [7, 9, 2])])
def test_the_first_w_jobs_in_queue_order(w, requests):
    """Job 4 has no block yet; it takes a place in the window all the same."""
    assert [fetch.stream for fetch in QueueLookahead(w=w).propose(view(10, plan=QUEUE))] == requests


@pytest.mark.parametrize("capacity, requests", [(100, [7, 9, 2]), (99, [7, 9]), (50, [7]), (10, [7])])
def test_the_window_is_the_capacity_over_the_mean_size(capacity, requests):
    """The mean of 30, 0, 60 and 10 blocks is 25: capacities of 100, 99 and 50 are 4, 3 and 2 jobs; there is always
    one."""
    assert [f.stream for f in QueueLookahead().propose(view(10, plan=QUEUE, capacity_blocks=capacity))] == requests


def test_a_fetch_spares_what_earlier_ones_asked_for():
    assert QueueLookahead(w=3).propose(view(10, plan=QUEUE)) == [Fetch(7, 0, 30, 11), Fetch(9, 0, 60, 13)]


def test_the_queue_stays_and_its_end_leaves_first():
    assert QueueLookahead(w=1).hints(view(10, plan=QUEUE)) == Hints(keep=(7, 4, 9, 2))


@pytest.mark.parametrize("jobs", [[], [by(4, step=12, blocks=0)]])
def test_nothing_to_fetch(jobs):
    assert QueueLookahead().propose(view(10, plan=jobs)) == []
