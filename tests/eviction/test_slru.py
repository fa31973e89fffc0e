"""Segmented LRU by hand (libCacheSim: test_libcachesim.py)."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.eviction.slru import Slru
from tests.eviction.cache import Cache


def two_lists() -> Cache:
    """Two blocks a list. 0 and 1 entered the lower one, 2 and 3 the upper one, which had room; then 4 replaced 0."""
    cache = Cache(Slru(segments=2), 4)
    cache.use(0, 1, 2, 3, 4)
    assert cache.evicted == [0]
    return cache


def test_new_blocks_fill_the_lists_from_below_and_later_enter_the_lowest():
    assert two_lists().order() == [1, 4, 2, 3]


def test_a_reference_lifts_a_block_and_the_list_above_gives_its_oldest():
    """1 goes up, so 2 comes down, behind 4. 5 replaces 4. Then 2 goes up again, and 3 comes down."""
    cache = two_lists()
    cache.use(1)
    assert cache.order() == [4, 2, 3, 1]
    cache.use(5)
    assert cache.evicted == [0, 4]
    cache.use(2)
    assert cache.order() == [5, 3, 1, 2]


def test_in_the_highest_list_a_reference_only_makes_recent():
    cache = two_lists()
    cache.use(2)
    assert cache.order() == [1, 4, 3, 2]


def test_a_block_in_use_is_not_moved_down():
    """2 is in use when 1 goes up: 3 comes down in its place."""
    cache = two_lists()
    cache.enter(2)
    cache.use(1)
    cache.leave(2)
    assert cache.order() == [4, 3, 1, 2]


def test_a_list_that_is_too_long_is_cut_when_its_blocks_are_released():
    """1 and 4 go up while 2 and 3 are in use: nobody can come down. As soon as one of 2 and 3 is released, it does."""
    cache = two_lists()
    cache.enter(2, 3)
    cache.enter(1, 4)
    cache.leave(2)
    assert cache.order() == [2]
    cache.leave(3)
    cache.leave(1, 4)
    assert cache.order() == [2, 3, 1, 4]


def test_the_first_use_of_a_prefetched_block_lifts_it():
    cache = two_lists()
    cache.prefetch(9)
    assert cache.evicted == [0, 1]
    assert cache.order() == [4, 9, 2, 3]
    cache.use(9)
    assert cache.order() == [4, 2, 3, 9]


def test_dropped_blocks_make_room_in_their_list():
    """3 is dropped from the upper list; 1 goes up without pushing 2 down."""
    cache = two_lists()
    cache.drop(3)
    cache.use(1)
    assert cache.order() == [4, 2, 1]


def test_after_the_first_eviction_new_blocks_enter_the_lowest_list_even_if_it_is_full():
    """2 is dropped, so that there is room in the upper list only."""
    cache = two_lists()
    cache.drop(2)
    cache.use(5)
    assert cache.order() == [1, 4, 5, 3]


def test_one_list_would_be_lru():
    with pytest.raises(PagedKVError, match="slru: segments is a whole number from 2 on, not 1"):
        Slru(segments=1)
