"""Segmented LRU."""

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask, Queue, anything, push_each
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register

OUT = -1


@register
class Slru(EvictionPolicy):
    """LRU lists of equal size, one above the other. A reference lifts a block into the next higher list; what a list
    has too much goes to the recent end of the list below. The oldest block of the lowest list goes.

    `segments` (4) is the number of lists. Two are the probationary and the protected segment of the paper; four are
    libCacheSim's default. New blocks start in the lowest list; before the first eviction, in the lowest one that has
    room. A block is as recent as the end of its last use; one in use counts in its list but is skipped, so a list may
    be too long until it is released.

    Level: I0. Cost: O(1) a block that is read or becomes evictable, plus those that are moved down. Source: Karedla
    et al., IEEE Computer 27(3), 1994; SGLang's `slru` has two lists.
    """

    name = "slru"
    level = Level.I0
    source = "Karedla et al., IEEE Computer 27(3), 1994"
    parameters = {"segments": 4}
    least = {"segments": 2}

    segments: int

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._segment = np.full(0, OUT, np.int64)
        self._sizes = np.zeros(self.segments, np.int64)
        self._queues = [Queue() for _ in range(self.segments)]
        self._full = False
        """A block was evicted: the warm-up is over."""

    def admit(self, contents: Contents) -> None:
        if len(contents) == 0:
            return
        segment = np.zeros(len(contents), np.int64)
        if not self._full:
            room = np.maximum(0, self.capacity // self.segments - self._sizes)
            places = np.repeat(np.arange(self.segments), room)[: len(contents)]
            segment[: len(places)] = places
        self._segment = fitted(self._segment, int(contents.max()), OUT)
        self._move(contents, segment)

    def touch(self, contents: Contents) -> None:
        if len(contents):
            self._segment = fitted(self._segment, int(contents.max()), OUT)
            held = contents[self._segment[contents] != OUT]
            self._move(held, np.minimum(self._segment[held] + 1, self.segments - 1))
            self._cool()

    def evicted(self, contents: Contents) -> None:
        self._full |= len(contents) > 0
        self._move(contents, np.full(len(contents), OUT))

    def dropped(self, contents: Contents) -> None:
        self._move(contents, np.full(len(contents), OUT))

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        push_each(enumerate(self._queues), contents, self._segment[contents], self._serial[contents])
        self._cool()

    def victims(self, count: int, allowed: Mask) -> Contents:
        chosen = [np.zeros(0, np.int64)]
        for queue in self._queues:
            chosen.append(queue.take(count - sum(map(len, chosen)), self._current, allowed))
        return np.concatenate(chosen)

    def _move(self, contents: Contents, segments: np.ndarray) -> None:
        for change, where in ((-1, self._segment[contents]), (1, segments)):
            np.add.at(self._sizes, where[where != OUT], change)
        self._segment[contents] = segments

    def _cool(self) -> None:
        """Move down what the upper lists have too much."""
        for segment in range(self.segments - 1, 0, -1):
            surplus = int(self._sizes[segment]) - self.capacity // self.segments
            if surplus > 0:
                cooled = self._queues[segment].take(surplus, self._current, anything)
                self._move(cooled, np.full(len(cooled), segment - 1))
                super().insert(cooled)
                self._queues[segment - 1].push(cooled, self._serial[cooled])
