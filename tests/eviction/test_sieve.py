"""SIEVE by hand (libCacheSim: test_libcachesim.py)."""

from pagedkv.eviction.sieve import Sieve
from tests.eviction.cache import Cache


def test_survivors_stay_in_their_place():
    """The hand clears 0, takes 1, and goes on: 2, then 3, which came after 0. Only then is it the turn of 0 again.
    CLOCK would take 0 before 3."""
    cache = Cache(Sieve(), 3)
    cache.use(0, 1, 2, 0)
    cache.use(3, 4, 5)
    assert cache.evicted == [1, 2, 3]
    assert cache.order() == [4, 5, 0]


def test_behind_the_newest_block_the_hand_goes_back_to_the_oldest():
    """0 and 1 have bits, so 2, the newest, goes. What comes in then is not next: 0 is."""
    cache = Cache(Sieve(), 3)
    cache.use(0, 1, 2, 0, 1)
    cache.use(3, 4)
    assert cache.evicted == [2, 0]


def test_the_hand_passes_over_blocks_in_use_and_leaves_their_bits():
    """0 is in use: 1 goes. Released, it still has its bit when the hand has been at 2, 3 and comes to it."""
    cache = Cache(Sieve(), 3)
    cache.use(0, 1, 2)
    cache.enter(0)
    cache.use(3)
    cache.leave(0)
    cache.use(4, 5)
    assert cache.evicted == [1, 2, 3]
    cache.use(6, 7)
    assert cache.evicted == [1, 2, 3, 4, 5]
    assert cache.order() == [6, 7, 0]


def test_the_first_use_of_a_prefetched_block_is_a_reference():
    cache = Cache(Sieve(), 3)
    cache.prefetch(0, 1, 2)
    cache.use(1)
    cache.use(3, 4)
    assert cache.evicted == [0, 2]


def test_when_the_newest_blocks_are_dropped_under_the_hand_it_goes_back_to_the_oldest():
    """The hand has passed 0 and stands before 3 when 3 and 4 are dropped. What comes in then is not next: 0 is."""
    cache = Cache(Sieve(), 3)
    cache.use(0, 1, 2, 0)
    cache.use(3, 4)
    cache.drop(3, 4)
    cache.use(5, 6, 7)
    assert cache.evicted == [1, 2, 0]


def test_a_dropped_block_under_the_hand():
    """The hand stands before 2 when 2 is dropped."""
    cache = Cache(Sieve(), 3)
    cache.use(0, 1, 2, 0)
    cache.use(3)
    cache.drop(2)
    assert cache.order() == [3, 0]
