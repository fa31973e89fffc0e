"""Steps to execution: queued requests and paused sessions in one order."""

import pytest

from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.steps_to_execution import StepsToExecution
from tests.prefetch.schedules import by, view

QUEUE = [by(7, step=102, blocks=3), by(8, step=104, blocks=5)]
EARLY, LATE = Pause(1, 41, 96.0), Pause(2, 42, 99.0)
SIZES = {41: 6, 42: 9}


def learned(*lengths: int, load_ahead: int = 2) -> StepsToExecution:
    """A policy that has seen pauses of these lengths."""
    policy = StepsToExecution(load_ahead=load_ahead)
    for second in range(max(lengths) + 1):
        paused = [Pause(1000 + n, n, 0.0) for n, length in enumerate(lengths) if second < length]
        policy.propose(view(second, paused=paused, blocks=dict.fromkeys(range(len(lengths)), 1)))
    return policy


def test_a_paused_session_comes_behind_the_queue_as_it_is():
    """At 100 the queue runs at 102 and 104. After pauses of 10 seconds, session 1 (4 gone) has 6 left and comes 6
    steps behind 104, session 2 (1 gone) 9 steps behind."""
    policy = learned(10, load_ahead=3)
    now = view(100, plan=QUEUE, paused=[EARLY, LATE], blocks=SIZES)
    assert policy.propose(now) == [Fetch(7, 0, 3, 102), Fetch(8, 0, 5, 104), Fetch(41, 0, 6, 110)]
    assert policy.hints(now) == Hints(keep=(7, 8, 41, 42)), "the largest value is evicted first"


def test_who_is_due_sooner_need_not_have_paused_longer():
    """Pauses last 5 or 30 seconds. Session 1, 4 gone, has (1 + 26) / 2 = 13.5 left; a session 10 gone outlasts the
    short one: 20 left. With an empty queue: at 114 and 120."""
    policy = learned(5, 30)
    old = Pause(3, 43, 90.0)
    now = view(100, paused=[old, EARLY], blocks={**SIZES, 43: 2})
    assert policy.propose(now) == [Fetch(41, 0, 6, 114), Fetch(43, 0, 2, 120)]


def test_the_unknown_come_one_step_behind_the_last():
    """Session 1 has outlasted every pause seen (2 seconds)."""
    policy = learned(2)
    now = view(100, paused=[EARLY, LATE], blocks=SIZES)
    assert policy.propose(now) == [Fetch(42, 0, 9, 101), Fetch(41, 0, 6, 102)]


def test_before_any_pause_has_ended_all_are_unknown():
    policy = StepsToExecution()
    assert policy.propose(view(100, paused=[EARLY, LATE], blocks=SIZES)) == [Fetch(41, 0, 6, 101), Fetch(42, 0, 9, 101)]


@pytest.mark.parametrize("load_ahead, requests", [(0, []), (1, [7]), (4, [7, 8, 41, 42])])
def test_load_ahead(load_ahead, requests):
    now = view(100, plan=QUEUE, paused=[EARLY, LATE], blocks=SIZES)
    assert [fetch.stream for fetch in learned(10, load_ahead=load_ahead).propose(now)] == requests
