"""CLOCK by hand (libCacheSim: test_libcachesim.py)."""

from pagedkv.eviction.clock import Clock
from tests.eviction.cache import Cache


def test_by_hand():
    """0 has its bit: the hand clears it and takes 1, then 2. Used again, 0 survives a second time, and 3 goes."""
    cache = Cache(Clock(), 3)
    cache.use(0, 1, 2, 0)
    cache.use(3, 4)
    assert cache.evicted == [1, 2]
    cache.use(0, 5)
    assert cache.evicted == [1, 2, 3]
    cache.use(6)
    assert cache.evicted == [1, 2, 3, 4]


def test_without_a_second_use_a_survivor_goes_in_the_next_round():
    """The hand cleared 0 on its way to 1; behind it lie 2, 0, 3."""
    cache = Cache(Clock(), 3)
    cache.use(0, 1, 2, 0)
    cache.use(3, 4, 5)
    assert cache.evicted == [1, 2, 0]


def test_if_all_were_referenced_the_first_goes_after_a_round():
    cache = Cache(Clock(), 3)
    cache.use(0, 1, 2, 0, 1, 2)
    cache.use(3)
    assert cache.evicted == [0]
    assert cache.order() == [1, 2, 3]


def test_the_hand_passes_over_blocks_in_use_and_leaves_their_bits():
    """0 enters, so its bit is set. The hand passes it and takes 1; after 2, it clears the bit of 0 and takes 3."""
    cache = Cache(Clock(), 3)
    cache.use(0, 1, 2)
    cache.enter(0)
    cache.use(3)
    cache.leave(0)
    cache.use(4, 5)
    assert cache.evicted == [1, 2, 3]


def test_blocks_that_are_not_allowed_keep_their_bits():
    clock = Clock()
    cache = Cache(clock, 3)
    cache.use(0, 1, 2, 0)
    assert clock.victims(3, lambda contents: contents == 2).tolist() == [2]
    assert clock.victims(1, lambda contents: contents != 2).tolist() == [1]


def test_the_first_use_of_a_prefetched_block_is_a_reference():
    """Of 0, created, and 1, prefetched, only 1 was read since it got its slot."""
    cache = Cache(Clock(), 3)
    cache.enter(0)
    cache.leave(0)
    cache.prefetch(1, 2)
    cache.use(1)
    cache.use(3, 4)
    assert cache.evicted == [0, 2]


def test_dropped_blocks_leave_the_ring():
    cache = Cache(Clock(), 3)
    cache.use(0, 1, 2)
    cache.drop(1)
    assert cache.order() == [0, 2]
