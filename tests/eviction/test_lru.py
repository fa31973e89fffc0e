"""LRU by hand, and against an ordered dict (libCacheSim: test_libcachesim.py)."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from pagedkv.eviction.lru import Lru
from tests.eviction.cache import STREAMS, array, misses, order


def test_by_hand():
    """Request A (10 11 12) leaves, then B (20 21); each lists its last block first. 11 is used and released again."""
    lru = Lru()
    lru.insert(array(12, 11, 10))
    lru.insert(array(21, 20))
    lru.remove(array(11))
    assert order(lru, [10, 12, 20, 21]) == [12, 10, 21, 20]
    lru.insert(array(11))
    assert order(lru, [10, 11, 12, 20, 21]) == [12, 10, 21, 20, 11]


def test_a_stream_by_hand():
    """3 blocks. 0 1 2 miss; 0 hits, so 1 is oldest; 3 evicts 1; 1 evicts 2; 0 hits; 2 evicts 3: six misses."""
    assert misses(Lru(), [0, 1, 2, 0, 3, 1, 0, 2], capacity=3) == 6


def test_a_loop_above_capacity_always_misses():
    assert misses(Lru(), [0, 1, 2, 3] * 5, capacity=3) == 20


@given(STREAMS, st.integers(1, 8))
def test_as_an_ordered_dict(stream, capacity):
    cache, missed = OrderedDict(), 0
    for content in stream:
        missed += content not in cache
        cache[content] = None
        cache.move_to_end(content)
        if len(cache) > capacity:
            cache.popitem(last=False)
    assert misses(Lru(), stream, capacity) == missed
