"""Reuse distances, and the miss-ratio curve of LRU that follows from them; exact, and from a sample."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np

from pagedkv.errors import PagedKVError

COLD = -1
_MODULUS = np.uint64(1 << 24)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def reuse_distances(stream: Sequence[int]) -> np.ndarray:
    """For each access the number of distinct other pages since the last access to its page; `COLD` at the first.

    A Fenwick tree over time marks each page's last access (Bennett and Kruskal, IBM J. Res. Dev. 19(4), 1975).
    O(n log n).
    """
    n = len(stream)
    tree, last = [0] * (n + 1), {}
    distances = np.full(n, COLD, np.int64)

    def add(place: int, amount: int) -> None:
        while place <= n:
            tree[place] += amount
            place += place & -place

    def until(place: int) -> int:
        total = 0
        while place > 0:
            total += tree[place]
            place -= place & -place
        return total

    for now, page in enumerate(stream, start=1):
        before = last.get(page)
        if before is not None:
            distances[now - 1] = len(last) - until(before)
            add(before, -1)
        add(now, 1)
        last[page] = now
    return distances


def miss_ratios(distances: np.ndarray, capacities: Sequence[int]) -> np.ndarray:
    """Share of the accesses that LRU misses at each capacity in pages."""
    if len(distances) == 0:
        return np.full(len(capacities), np.nan)
    warm = np.sort(distances[distances != COLD])
    hits = np.searchsorted(warm, np.asarray(capacities), side="left")
    return 1.0 - hits / len(distances)


def sampled_miss_ratios(
    stream: np.ndarray, capacities: Sequence[int], rate: float, counted: np.ndarray | None = None
) -> np.ndarray:
    """`miss_ratios` of the accesses that `counted` marks (None: all), from the pages whose hash falls below `rate`:
    SHARDS with a fixed rate, adjusted.

    Distances of the sample are scaled by 1/rate; the difference between the expected and the real number of sampled
    accesses is added to the shortest distance (Waldspurger et al., FAST 2015, SHARDS-adj).
    """
    if not 0 < rate <= 1:
        raise PagedKVError(f"miss ratio: a sampling rate of {rate} is not in (0, 1]")
    stream = np.asarray(stream, np.int64)
    counted = np.ones(len(stream), bool) if counted is None else counted
    sampled = _hash(stream) < np.uint64(rate * int(_MODULUS))
    expected = rate * int(counted.sum())
    distances = reuse_distances(stream[sampled].tolist())[counted[sampled]]
    warm = np.sort(distances[distances != COLD]) / rate
    hits = np.searchsorted(warm, np.asarray(capacities), side="left") + (expected - len(distances))
    return np.clip(1.0 - hits / expected, 0.0, 1.0) if expected > 0 else np.full(len(capacities), np.nan)


def _hash(pages: np.ndarray) -> np.ndarray:
    """A well mixed number below `_MODULUS` for each page (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        x = pages.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * _MIX[0]
        x = (x ^ (x >> np.uint64(27))) * _MIX[1]
        return (x ^ (x >> np.uint64(31))) % _MODULUS


def min_miss_ratios(stream: Sequence[int], capacities: Sequence[int], counted: np.ndarray | None = None) -> np.ndarray:
    """Share of the accesses that `counted` marks (None: all) which Belady's MIN misses at each capacity, bypass not
    allowed. O(n log n) a capacity."""
    n = len(stream)
    marks = [True] * n if counted is None else counted.tolist()
    following, upcoming = [n] * n, {}
    for i in range(n - 1, -1, -1):
        following[i] = upcoming.get(stream[i], n + i)
        upcoming[stream[i]] = i
    shares = []
    for capacity in capacities:
        held: dict[int, int] = {}
        furthest: list[tuple[int, int]] = []
        misses = 0
        for i, page in enumerate(stream):
            if page not in held:
                misses += marks[i]
                if len(held) >= capacity:
                    _drop_furthest(held, furthest)
            held[page] = following[i]
            heappush(furthest, (-following[i], page))
        shares.append(misses / sum(marks) if any(marks) else float("nan"))
    return np.array(shares)


def _drop_furthest(held: dict[int, int], furthest: list[tuple[int, int]]) -> None:
    """Evict the page whose next use is furthest; entries of the heap that are out of date are skipped."""
    while True:
        when, page = heappop(furthest)
        if held.get(page) == -when:
            del held[page]
            return
