"""Contract of an eviction policy.

The eviction policy is the one authority over the order of *evictable* blocks: resident, referenced by no running
request, in no transfer. The tier tells it what becomes and what ceases to be evictable, what gets and what loses a
slot, and what entering requests read; it answers who goes first.

A *reference* is the entry of a request that reads a block; the later steps of a running request are none. A block that
gets a slot starts with no reference, whether it was created, loaded on demand or prefetched: the first use of a
prefetched block counts as its first reference, as Linux treats pages that it reads ahead like new ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask, Queue
from pagedkv.eviction._runs import Runs
from pagedkv.parameters import Parametrised

Contents = np.ndarray
"""int64 array of content numbers, each at most once."""


class EvictionPolicy(Parametrised, ABC):
    """Ordered set of evictable contents. One file, one class; parameters as for prefetch policies.

    The base class keeps the order in which contents became evictable (their *serial*, least recently used first),
    which every policy needs at least to break ties. A subclass decides by overriding `victims`, and overrides the
    hooks that it learns from. Every list is in order of eviction: the content to evict first comes first, so that of
    one request the last block does.
    """

    noun = "eviction policy"
    level: Level = Level.I0
    source: str = ""
    """Paper or system that the rule comes from."""
    leaps: bool = False
    """Whether, as long as no request enters or leaves, it makes no difference if blocks that get slots, and the victims
    that make room for them, are taken together or step by step: then the closed loop may take steps together."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.capacity = 0
        """Slots of the tier."""
        self.now_s = 0.0
        """Engine time at the boundary at hand, which the engine keeps current on the GPU's policy."""
        self._serial = np.full(0, -1, np.int64)
        self._next = 0

    # ------------------------------------------------------------ what happens to blocks; empty where nothing is learnt
    def attach(self, capacity: int) -> None:
        """The policy serves a tier of `capacity` slots. Called once, before anything else."""
        self.capacity = capacity

    def touch(self, contents: Contents) -> None:
        """An entering request reads `contents`: a reference each. Those without a slot will get one right afterwards,
        so that a policy with ghosts can tell from them for whom it makes room."""

    def admit(self, contents: Contents) -> None:
        """`contents` got a slot."""

    def evicted(self, contents: Contents) -> None:
        """`contents`, which were victims, have left their slots."""

    def dropped(self, contents: Contents) -> None:
        """`contents` have left their slots because nobody will read them again."""

    # ------------------------------------------------------------ the set
    def insert(self, contents: Contents) -> None:
        """`contents` became evictable."""
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
    def victims(self, count: int, allowed: Mask) -> Contents:
        """The `count` members that `allowed` admits and that should go first, or as many as there are, best victim
        first. They stay members until removed. What a clock hand meets on its way to them may change."""

    def _current(self, contents: Contents, serials: np.ndarray) -> np.ndarray:
        """Which entries of a queue are those of members."""
        return self._serial[contents] == serials


class QueueEviction(EvictionPolicy):
    """Evicts in the order in which members became evictable."""

    leaps = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._queue = Queue()

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        self._queue.push(contents, self._serial[contents])

    def victims(self, count: int, allowed: Mask) -> Contents:
        return self._queue.take(count, self._current, allowed)


class RankedEviction(EvictionPolicy):
    """Evicts the member with the lowest rank; equal ranks leave in the order in which they became evictable."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._runs = Runs()

    @abstractmethod
    def rank(self, contents: Contents) -> np.ndarray:
        """int64 array: the lower, the earlier a content leaves. It is asked when contents become evictable, and must
        not change as long as they are."""

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        if len(contents):
            self._runs.push(self.rank(contents), self._serial[contents], contents)

    def victims(self, count: int, allowed: Mask) -> Contents:
        return self._runs.take(count, self._current, allowed)
