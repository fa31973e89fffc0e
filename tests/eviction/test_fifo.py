"""FIFO by hand (libCacheSim: test_libcachesim.py)."""

from pagedkv.eviction.fifo import Fifo
from tests.eviction.cache import Cache


def test_uses_do_not_count():
    cache = Cache(Fifo(), 3)
    cache.use(0, 1, 2, 0, 0)
    cache.use(3, 4)
    assert cache.evicted == [0, 1]


def test_a_block_in_use_keeps_its_place():
    """1 is in use when 4 needs room, so 2 goes; once released, 1 is the oldest again."""
    cache = Cache(Fifo(), 3)
    cache.use(0, 1, 2)
    cache.use(3)
    cache.enter(1)
    cache.use(4)
    cache.leave(1)
    cache.use(5)
    assert cache.evicted == [0, 2, 1]


def test_an_evicted_or_prefetched_block_comes_in_anew():
    cache = Cache(Fifo(), 3)
    cache.use(0, 1, 2, 3)
    cache.prefetch(0)
    assert cache.evicted == [0, 1]
    assert cache.order() == [2, 3, 0]


def test_requests_that_took_turns_are_told_apart_block_by_block():
    """Two requests got slots alternately, and leave one after the other."""
    fifo = Fifo()
    cache = Cache(fifo, 6)
    for content in range(6):
        cache.enter(content)
    cache.leave(0, 2, 4)
    cache.leave(1, 3, 5)
    assert cache.order() == [0, 1, 2, 3, 4, 5]
