"""Pause prefetch, and what all policies share that bring paused sessions back."""

from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.pause_prefetch import PausePrefetch
from tests.prefetch.schedules import by, view

FIRST, SECOND, THIRD = Pause(1, 41, 2.0), Pause(2, 42, 5.0), Pause(3, 43, 9.0)
SIZES = {41: 30, 42: 40, 43: 25}


def test_as_many_as_fit_beside_the_batch_and_the_queue_the_longest_pause_first():
    """Of 100 slots the batch reads 20 and the queue will read 15. Sessions 1 and 3 fit into the 65 left (30 + 25), 2
    beside 1 does not (30 + 40)."""
    policy = PausePrefetch()
    now = view(10, plan=[by(7, step=11, blocks=15)], paused=[FIRST, SECOND, THIRD], blocks=SIZES, batch_blocks=20)
    assert policy.propose(now) == [Fetch(41, 0, 30, 11), Fetch(43, 0, 25, 12)]
    assert policy.hints(now) == Hints(demote=(42,), keep=(41, 43))


def test_the_latest_pause_first():
    """Into 65 slots: 3 (25) and 2 (40) fill them."""
    policy = PausePrefetch(first="latest")
    now = view(10, paused=[FIRST, SECOND, THIRD], blocks=SIZES, batch_blocks=35)
    assert policy.propose(now) == [Fetch(43, 0, 25, 11), Fetch(42, 0, 40, 12)]
    assert policy.hints(now) == Hints(demote=(41,), keep=(43, 42))


def test_without_room_a_session_leaves_at_its_pause_and_comes_back_with_the_room():
    policy = PausePrefetch()
    full = view(10, paused=[FIRST, SECOND], blocks=SIZES, batch_blocks=90)
    assert policy.propose(full) == []
    assert policy.hints(full) == Hints(demote=(42, 41)), "who paused last leaves first"
    freed = view(11, paused=[FIRST, SECOND], blocks=SIZES, batch_blocks=70)
    assert policy.propose(freed) == [Fetch(41, 0, 30, 12)]
    assert policy.hints(freed) == Hints(demote=(42,), keep=(41,))


def test_a_session_that_waits_in_the_queue_comes_before_the_paused_ones():
    """Session 1 has come back at 11 and waits behind request 7, which never paused. It is fetched, and no longer once
    it runs."""
    policy = PausePrefetch()
    policy.propose(view(10, paused=[FIRST, THIRD], blocks=SIZES, batch_blocks=100))
    queue = [by(7, step=12, blocks=5), by(41, step=13, blocks=30)]
    back = view(11, plan=queue, paused=[THIRD], blocks=SIZES, batch_blocks=40)
    assert policy.propose(back) == [Fetch(41, 0, 30, 12), Fetch(43, 0, 25, 13)]
    assert policy.hints(back) == Hints(keep=(41, 43))
    running = view(12, plan=queue[:1], paused=[THIRD], blocks=SIZES, batch=(41,), batch_blocks=95)
    assert policy.propose(running) == []
    rotated = view(13, plan=queue, paused=[THIRD], blocks=SIZES, batch_blocks=95)
    assert policy.propose(rotated) == [], "that it waits again is no return from a pause"


def test_it_never_asks_to_be_woken():
    policy = PausePrefetch()
    now = view(10, paused=[FIRST], blocks=SIZES)
    policy.propose(now)
    assert policy.wake_step(now) is None
