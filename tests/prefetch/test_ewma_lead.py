"""EWMA lead: the time at which a session is fetched back, worked out by hand.

Two pauses of 20 seconds were seen. Session 1 pauses at 100 with 6 blocks missing, which take 6 seconds: it is expected
at 120 and has to start at 114."""

import pytest

from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.ewma_lead import EwmaLead
from tests.prefetch.schedules import view

PAUSE = Pause(1, 41, 100.0)


def learned(**parameters: object) -> EwmaLead:
    policy = EwmaLead(**parameters)
    for second, paused in [(0, [Pause(8, 1, 0.0)]), (20, []), (30, [Pause(9, 1, 30.0)]), (50, [])]:
        policy.propose(view(second, paused=paused, blocks={1: 0}))
    return policy


def at(second: int, **fields: object):
    return view(second, paused=[PAUSE], blocks={41: 8}, absent={41: 6}, **fields)


@pytest.mark.parametrize("second, fetched, wake", [(100, [], 114), (112, [], 114), (114, [Fetch(41, 0, 8, 115)], None)])
def test_a_lead_is_the_time_that_the_missing_blocks_take(second, fetched, wake):
    policy, now = learned(), at(second)
    assert policy.propose(now) == fetched
    assert policy.wake_step(now) == wake
    assert policy.hints(now) == (Hints(keep=(41,)) if fetched else Hints(demote=(41,)))


def test_it_starts_at_the_last_boundary_before():
    """Steps of 4 s from 100 on end at 112 and 116: 114 is before the next one after 112."""
    policy = learned()
    assert policy.propose(at(110, step_s=4.0)) == []
    assert policy.wake_step(at(110, step_s=4.0)) == 111
    assert policy.propose(at(112, step_s=4.0)) == [Fetch(41, 0, 8, 113)]


@pytest.mark.parametrize("second, fetched", [(118, []), (119, [41])])
def test_a_fixed_lead(second, fetched):
    assert [fetch.stream for fetch in learned(lead_s=1.0).propose(at(second))] == fetched


def test_an_idle_engine_is_not_asked_again_before_something_arrives():
    assert [fetch.stream for fetch in learned().propose(at(101, batch=()))] == [41]


def test_without_experience_it_waits_for_the_return():
    policy, now = EwmaLead(), at(119)
    assert policy.propose(now) == [] and policy.wake_step(now) is None


def test_the_newest_pause_weighs_alpha():
    """A third pause, of 40: with alpha 0.5 the next is expected to last 30, with 1.0 it is 40; less 6 for the load."""
    for alpha, wake in [(0.5, 124), (1.0, 134)]:
        policy = learned(alpha=alpha)
        for second, paused in [(52, [Pause(7, 1, 52.0)]), (92, [])]:
            policy.propose(view(second, paused=paused, blocks={1: 0}))
        policy.propose(at(101))
        assert policy.wake_step(at(101)) == wake
