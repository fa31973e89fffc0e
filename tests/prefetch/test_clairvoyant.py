"""The clairvoyant policy lists what the trace reads next, in order of use."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Planned, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.clairvoyant import Clairvoyant

COMING = [Planned(12, 9, 2), Planned(12, 3, 0), Planned(900, 5, 1), Planned(901, 4, 7)]


def future(level: Level = Level.I6) -> View:
    return View(level, {"future": lambda entries: COMING[:entries]})


def test_all_that_comes_in_order_of_use_however_far():
    """Request 3 has no block yet."""
    assert Clairvoyant().propose(future()) == [Fetch(9, 0, 2, 12), Fetch(5, 0, 1, 900), Fetch(4, 0, 7, 901)]


@pytest.mark.parametrize("entries, requests", [(1, [9]), (2, [9]), (3, [9, 5])])
def test_entries_bounds_the_answer(entries, requests):
    assert [fetch.stream for fetch in Clairvoyant(entries=entries).propose(future())] == requests


def test_it_needs_the_whole_trace():
    assert Clairvoyant.level == Level.I6
    with pytest.raises(PagedKVError, match="level I5 may not read 'future'"):
        Clairvoyant().propose(future(Level.I5))


def test_each_answer_replaces_the_one_before_and_no_wake_up_is_needed():
    assert Clairvoyant.replans is True
    assert Clairvoyant().wake_step(future()) is None


def test_bad_parameters():
    with pytest.raises(PagedKVError, match="clairvoyant: entries is a whole number from 1 on, not 0"):
        Clairvoyant(entries=0)
