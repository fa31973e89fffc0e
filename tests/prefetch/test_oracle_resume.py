"""Oracle resume: each session as late as it can be, on one link."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Pause
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.oracle_resume import OracleResume
from tests.prefetch.schedules import view

PAUSED = [Pause(1, 41, 0.0), Pause(2, 42, 1.0), Pause(3, 43, 2.0)]
RETURNS = {1: 40.0, 2: 32.0, 3: 30.0}
"""In order of return: 43 (5 blocks), 42 (4 blocks), 41 (3 blocks), one second each. 41 has to start at 37; 42 at 28;
43, to be through when 42 starts, at 23 and not at 25."""


def at(second: int, **fields: object):
    return view(second, paused=PAUSED, blocks={41: 3, 42: 4, 43: 5}, returns_s=RETURNS, **fields)


@pytest.mark.parametrize(
    "second, requests, wake", [(10, [], 23), (22, [], 23), (23, [43], 28), (28, [43, 42], 37), (37, [43, 42, 41], None)]
)
def test_in_order_of_return_and_in_time_for_those_behind(second, requests, wake):
    policy, now = OracleResume(), at(second)
    assert [fetch.stream for fetch in policy.propose(now)] == requests
    assert policy.wake_step(now) == wake


def test_who_is_not_due_leaves_first():
    policy, now = OracleResume(), at(23)
    assert policy.propose(now) == [Fetch(43, 0, 5, 24)]
    assert policy.hints(now) == Hints(demote=(42, 41), keep=(43,))


def test_a_session_that_was_started_stays():
    """At 26 all of 43 is there, which alone would make it due at 28; but it is on its way back since 23."""
    policy = OracleResume()
    for second, missing in [(23, 5), (26, 0)]:
        now = at(second, absent={43: missing})
        assert [fetch.stream for fetch in policy.propose(now)] == [43]
        assert policy.hints(now).keep == (43,)
    assert OracleResume().propose(at(26, absent={43: 0})) == []


def test_a_new_pause_of_a_session_starts_from_nothing():
    """43 has come back, run, and pauses again under the same handle."""
    policy = OracleResume()
    policy.propose(at(23))
    policy.propose(view(31, paused=PAUSED[:2], blocks={41: 3, 42: 4}, returns_s=RETURNS))
    again = view(32, paused=[PAUSED[0], Pause(3, 43, 32.0)], blocks={41: 3, 43: 5}, returns_s={1: 60.0, 3: 90.0})
    assert policy.propose(again) == []


def test_it_needs_the_true_returns():
    with pytest.raises(PagedKVError, match="level I4 may not read 'returns_s'"):
        OracleResume().propose(at(10, level=Level.I4))


def test_a_session_that_never_returns_is_left_alone():
    """In a trace that was cut, a paused session may have no return; nor is it a time to be woken at."""
    policy, now = OracleResume(), view(9, paused=PAUSED[:1], blocks={41: 3}, returns_s={1: float("inf")})
    assert policy.propose(now) == []
    assert policy.wake_step(now) is None
