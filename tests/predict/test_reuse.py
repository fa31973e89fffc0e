"""Reuse distances and miss-ratio curves, against caches that are played access by access."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.predict.reuse import COLD, min_miss_ratios, miss_ratios, reuse_distances, sampled_miss_ratios

STREAMS = st.lists(st.integers(0, 9), max_size=80)


def lru_misses(stream: list[int], capacity: int) -> int:
    held: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for page in stream:
        if page in held:
            held.move_to_end(page)
            continue
        misses += 1
        if len(held) == capacity:
            held.popitem(last=False)
        held[page] = None
    return misses


def least_misses(stream: list[int], capacity: int) -> int:
    """MIN by looking for the furthest next use at each eviction."""
    held: set[int] = set()
    misses = 0
    for i, page in enumerate(stream):
        if page in held:
            continue
        misses += 1
        if len(held) == capacity:
            ahead = stream[i + 1 :]
            held.remove(max(held, key=lambda p: ahead.index(p) if p in ahead else len(stream)))
        held.add(page)
    return misses


def test_distances_by_hand():
    # a b c b a a: b again after {c}; a after {b, c}; a after nothing
    assert reuse_distances([0, 1, 2, 1, 0, 0]).tolist() == [COLD, COLD, COLD, 1, 2, 0]


@given(STREAMS, st.integers(1, 6))
def test_the_curve_is_that_of_an_lru_cache(stream, capacity):
    ratio = miss_ratios(reuse_distances(stream), [capacity])[0]
    if stream:
        assert ratio * len(stream) == pytest.approx(lru_misses(stream, capacity))
    else:
        assert np.isnan(ratio)


@given(STREAMS, st.integers(1, 6))
def test_min_is_belady(stream, capacity):
    if stream:
        assert min_miss_ratios(stream, [capacity])[0] * len(stream) == least_misses(stream, capacity)


def test_a_sample_of_all_pages_is_exact():
    stream = np.random.default_rng(1).zipf(1.3, 3000) % 200
    capacities = [5, 20, 80]
    exact = miss_ratios(reuse_distances(stream.tolist()), capacities)
    assert sampled_miss_ratios(stream, capacities, 1.0) == pytest.approx(exact)


def test_a_sample_of_a_tenth_is_close():
    rng = np.random.default_rng(2)
    stream = np.minimum(rng.zipf(1.2, 200_000), 20_000)
    capacities = [500, 2000, 8000]
    exact = miss_ratios(reuse_distances(stream.tolist()), capacities)
    assert np.abs(sampled_miss_ratios(stream, capacities, 0.1) - exact).max() < 0.03


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(PagedKVError, match="sampling rate of 0"):
        sampled_miss_ratios(np.arange(3), [1], 0)


def test_only_counted_accesses_can_miss():
    """Pages 0 and 1 are created, which is no load; then 0 comes back, then 1: one page of room is too little for 0."""
    stream, counted = [0, 1, 0, 1], np.array([False, False, True, True])
    assert miss_ratios(reuse_distances(stream)[counted], [1, 2]).tolist() == [1.0, 0.0]
    assert sampled_miss_ratios(np.array(stream), [1, 2], 1.0, counted).tolist() == [1.0, 0.0]
    assert min_miss_ratios(stream, [1, 2], counted).tolist() == [1.0, 0.0]
