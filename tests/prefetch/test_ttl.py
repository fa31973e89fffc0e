"""Time to live: who is kept, until when, and the tau that is worth it."""

import pytest

from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Hints
from pagedkv.prefetch.ttl import TimeToLive
from tests.prefetch.schedules import faults, view

PAUSED = [Pause(1, 41, 2.0), Pause(2, 42, 5.0), Pause(3, 43, 9.0)]


@pytest.mark.parametrize(
    "second, hints, wake",
    [
        (9, Hints(keep=(43, 42, 41)), 10),
        (10, Hints(demote=(41,), keep=(43, 42)), 13),
        (13, Hints(demote=(41, 42), keep=(43,)), 17),
        (17, Hints(demote=(41, 42, 43)), None),
    ],
)
def test_a_session_is_kept_for_tau_and_then_leaves_first(second, hints, wake):
    """Tau is 8 seconds: the pauses since 2, 5 and 9 end their time at 10, 13 and 17."""
    policy, now = TimeToLive(tau_s=8.0), view(second, paused=PAUSED)
    assert policy.propose(now) == []
    assert policy.hints(now) == hints
    assert policy.wake_step(now) == wake


def test_a_tau_of_0_keeps_nobody():
    policy, now = TimeToLive(tau_s=0), view(9, paused=PAUSED)
    policy.propose(now)
    assert policy.hints(now) == Hints(demote=(41, 42, 43))


@pytest.mark.parametrize("count, tau_s", [(0, 10), (30, 10), (80, 2), (180, 2), (400, 0)])
def test_the_learned_tau_weighs_returns_against_room(count, tau_s):
    """Pauses of 2, 2, 2 and 10 seconds were seen within 10 seconds. With `count` faults and a capacity of 100 a slot
    costs p = count / 1000 loads a second. A tau of 2 is worth 0.75 - 2 p, one of 10 is worth 1 - 10 p: with 30 faults
    0.69 and 0.70, with 80 faults 0.59 and 0.2, with 400 faults less than nothing.
    """
    policy = TimeToLive()
    for second in range(11):
        paused = [Pause(100 + n, n, 0.0) for n, length in enumerate((2, 2, 2, 10)) if second < length]
        policy.propose(view(second, paused=paused, accesses=faults(count if second == 0 else 0)))
    now = view(10, paused=[Pause(age, age, 10.0 - age) for age in (10, 9, 2, 1, 0)])
    policy.propose(now)
    assert policy.hints(now).keep == tuple(age for age in (0, 1, 2, 9, 10) if age < tau_s)


def test_before_a_pause_has_ended_nobody_is_kept():
    policy, now = TimeToLive(), view(9, paused=PAUSED)
    policy.propose(now)
    assert policy.hints(now) == Hints(demote=(41, 42, 43))
