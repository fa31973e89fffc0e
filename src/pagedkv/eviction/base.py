"""Contract of an eviction policy.

The eviction policy is the one authority over the order of *evictable* blocks: resident, referenced by no running
request, in no transfer. The pool tells it what becomes and what ceases to be evictable; it answers who goes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level

Contents = np.ndarray
"""int64 array of content numbers."""

Mask = Callable[[Contents], np.ndarray]
"""Contents -> boolean array."""


class EvictionPolicy(ABC):
    """Ordered set of evictable contents.

    The base class keeps the order in which contents became evictable (their *serial*, least recently used first),
    which every policy needs at least to break ties. A subclass decides by overriding `victims`.
    """

    name: str
    level: Level = Level.I0

    def __init__(self) -> None:
        self._serial = np.full(0, -1, np.int64)
        self._next = 0

    def insert(self, contents: Contents) -> None:
        """`contents` became evictable, listed from the one to evict first to the one to evict last."""
        if len(contents) == 0:
            return
        self._serial = fitted(self._serial, int(contents.max()))
        self._serial[contents] = np.arange(self._next, self._next + len(contents))
        self._next += len(contents)

    def remove(self, contents: Contents) -> None:
        """`contents` are no longer evictable: used again, or evicted. Contents that are not members are ignored."""
        if len(contents):
            self._serial = fitted(self._serial, int(contents.max()))
            self._serial[contents] = -1

    def members(self, contents: Contents) -> np.ndarray:
        """Boolean mask: which of `contents` are in the set."""
        if len(contents) == 0:
            return np.zeros(0, bool)
        self._serial = fitted(self._serial, int(contents.max()))
        return self._serial[contents] >= 0

    @abstractmethod
    def victims(self, count: int, allowed: Mask, resident: Callable[[], Contents]) -> Contents:
        """At most `count` members that `allowed` admits, best victim first; they stay members until removed.

        `resident()` gives the contents of all slots, for policies that rank by a score.
        """


class ScoredEviction(EvictionPolicy):
    """Evicts the member with the highest score; equal scores leave in the order in which they became evictable."""

    @abstractmethod
    def score(self, contents: Contents) -> np.ndarray:
        """int64 array, below 2**20: the higher, the earlier a content leaves."""

    def victims(self, count: int, allowed: Mask, resident: Callable[[], Contents]) -> Contents:
        candidates = resident()
        candidates = candidates[self.members(candidates)]
        candidates = candidates[allowed(candidates)]
        if len(candidates) == 0:
            return candidates
        # One key: score in the high bits, age (older is larger) in the low ones, so that one partition decides both.
        key = (self.score(candidates).astype(np.int64) << 42) + (self._next - self._serial[candidates])
        count = min(count, len(candidates))
        best = np.argpartition(-key, count - 1)[:count]
        return candidates[best[np.argsort(-key[best])]]


class QueueEviction(EvictionPolicy):
    """Evicts in the order in which members became evictable. Kept in chunks: a whole request is one entry."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: deque[tuple[np.ndarray, np.ndarray]] = deque()

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        if len(contents):
            self._chunks.append((contents, self._serial[contents]))

    def victims(self, count: int, allowed: Mask, resident: Callable[[], Contents]) -> Contents:
        chosen: list[np.ndarray] = []
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        while count > 0 and self._chunks:
            contents, serials = self._chunks.popleft()
            valid = self._serial[contents] == serials
            contents, serials = contents[valid], serials[valid]
            if len(contents) == 0:
                continue
            admitted = contents[allowed(contents)][:count]
            chosen.append(admitted)
            count -= len(admitted)
            kept.append((contents, serials))
        self._chunks.extendleft(reversed(kept))
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
