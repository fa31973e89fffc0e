"""ENST: in order of the estimates, as long as the reserve stays."""

import pytest

from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.enst import EstimatedNextSchedule
from tests.prefetch.schedules import by, view

WAITING = [by(7, step=11, blocks=20), by(4, step=15, blocks=10), by(9, step=80, blocks=15)]


@pytest.mark.parametrize(
    "reserve, running, asked",
    [
        (0.0, 55, [(7, 20), (4, 10), (9, 15)]),
        (0.1, 55, [(7, 20), (4, 10), (9, 5)]),
        (0.1, 75, [(7, 15)]),
        (0.1, 90, []),
        (0.1, 95, []),
    ],
)
def test_the_running_batch_and_the_reserve_come_first(reserve, running, asked):
    """Of 100 slots, 55 running leave 45 for the 20 + 10 + 15 that wait, or 35 beside a reserve of 10: for 5 of the last
    job. 75 leave 15 for the first, 90 and 95 nothing."""
    fetched = EstimatedNextSchedule(reserve=reserve).propose(view(10, plan=WAITING, batch_blocks=running))
    assert [(fetch.stream, fetch.count) for fetch in fetched] == asked


def test_the_estimate_is_the_predicted_plan():
    """The queue's order says 7 before 4; the predicted lengths say 4 first."""
    predicted = [by(4, step=12, blocks=10), by(7, step=30, blocks=20)]
    policy, now = EstimatedNextSchedule(), view(10, plan=WAITING[:2], predicted_plan=lambda horizon: predicted)
    assert policy.propose(now) == [Fetch(4, 0, 10, 12), Fetch(7, 0, 20, 30)]
    assert policy.hints(now) == Hints(keep=(4, 7))


def test_what_is_not_fetched_still_leaves_after_what_does_not_wait():
    policy, now = EstimatedNextSchedule(), view(10, plan=WAITING, batch_blocks=90)
    assert policy.propose(now) == []
    assert policy.hints(now) == Hints(keep=(7, 4, 9))
