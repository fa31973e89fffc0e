"""MIN by hand, and against exhaustive search (libCacheSim: test_libcachesim.py)."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.eviction.lru import Lru
from pagedkv.eviction.min import Min
from tests.eviction.cache import NEVER, STREAMS, array, min_misses, misses, order


def fewest_misses(stream: list[int], capacity: int) -> int:
    """What the best of all replacement decisions misses."""
    states = {frozenset(): 0}
    for content in stream:
        after: dict[frozenset, int] = {}
        for held, missed in states.items():
            if content in held:
                nexts, cost = [held], missed
            else:
                kept = [held] if len(held) < capacity else [held - {victim} for victim in held]
                nexts, cost = [k | {content} for k in kept], missed + 1
            for state in nexts:
                after[state] = min(cost, after.get(state, cost))
        states = after
    return min(states.values())


def test_order_by_hand():
    """The next uses of 0..4 are at steps 30, never, 12, 30, never. Never goes first, then 30; of equals, the one
    that became evictable first: 4 before 1, 3 before 0."""
    policy = Min()
    policy.next_use = np.array([30, NEVER, 12, 30, NEVER])
    policy.insert(array(4, 3, 2))
    policy.insert(array(1, 0))
    assert order(policy, [0, 1, 2, 3, 4]) == [4, 1, 3, 0, 2]


def test_a_stream_by_hand():
    """3 blocks, 0 1 2 3 0 1 2 3 0. 3 replaces 2, used last (at 6); 0 and 1 hit; 2 replaces 1, never used again; 3 and 0
    hit. Misses: 0 1 2 3 2. LRU misses all nine."""
    stream = [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert min_misses(stream, 3) == 5
    assert misses(Lru(), stream, 3) == 9


def test_steps_far_in_the_future_are_still_ordered():
    """Steps 5 000 000 and 5 000 001 are told apart, however early it is."""
    policy = Min()
    policy.next_use = np.array([5_000_000, 5_000_001, 4_900_001])
    policy.insert(array(0, 1, 2))
    assert order(policy, [0, 1, 2]) == [1, 0, 2]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 4))
def test_no_replacement_misses_less(stream, capacity):
    assert min_misses(stream, capacity) == fewest_misses(stream, capacity)


@given(STREAMS, st.integers(1, 8))
def test_never_more_misses_than_lru(stream, capacity):
    assert min_misses(stream, capacity) <= misses(Lru(), stream, capacity)
