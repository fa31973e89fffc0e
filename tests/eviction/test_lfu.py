"""LFU by hand (libCacheSim: test_libcachesim.py)."""

from pagedkv.eviction.lfu import Lfu
from tests.eviction.cache import Cache, array


def test_by_hand():
    """References: 0 has 2, 1 has 1, 2 none. 2 goes, then 3, which has none either; never 0."""
    cache = Cache(Lfu(), 3)
    cache.use(0, 1, 2, 0, 1, 0)
    cache.use(3, 4)
    assert cache.evicted == [2, 3]
    assert cache.order() == [4, 1, 0]


def test_of_equals_the_one_that_is_out_of_use_longest_goes():
    """0, 1 and 2 have one reference each, 0 the latest."""
    cache = Cache(Lfu(), 3)
    cache.use(0, 1, 2, 1, 2, 0)
    assert cache.order() == [1, 2, 0]


def test_who_comes_back_starts_from_nothing():
    cache = Cache(Lfu(), 2)
    cache.use(0, 0, 0, 1, 1)
    cache.use(2)
    assert cache.evicted == [1]
    cache.use(1)
    assert cache.evicted == [1, 2]
    assert cache.order() == [1, 0]


def test_a_prefetched_block_that_was_read_has_one_reference():
    cache = Cache(Lfu(), 3)
    cache.prefetch(0, 1)
    cache.use(2, 0)
    assert cache.order() == [1, 2, 0]


def test_one_entry_of_a_request_is_one_reference_a_block():
    """A request reads 5 4 3 twice, another one 3 alone: of the first one's blocks, 5 and 4 go before 3."""
    lfu = Lfu()
    cache = Cache(lfu, 4)
    for _ in range(2):
        cache.enter(5, 4, 3)
        cache.leave(5, 4, 3)
    cache.use(3)
    assert lfu.rank(array(3, 4, 5)).tolist() == [2, 1, 1]
    assert cache.order() == [5, 4, 3]
