"""Furthest planned use first."""

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask
from pagedkv.eviction._runs import Runs
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register

UNPLANNED = -1


@register
class PlanAware(EvictionPolicy):
    """Evict what the scheduler's plan does not name, least recently used first; then the furthest planned use.

    The engine calls `replan` whenever the queue changed, with the contents of the planned requests in order of their
    planned use. Parameter: `requests` (64), how far the plan is looked at, in requests of the queue.

    Level: I4. Cost: O(planned blocks) a change of the queue; O(victims) an eviction, and O(planned blocks)
    once only those are left. Source: KVFlow and CachedAttention evict by position in the
    queue or workflow; design section 7.
    """

    name = "plan_aware"
    level = Level.I4
    source = "KVFlow, arXiv 2507.07400; CachedAttention, ATC 2024"
    leaps = True
    parameters = {"requests": 64}
    least = {"requests": 1}

    requests: int

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._plan: list[Contents] = []
        self._far_first: Contents | None = None
        self._position = np.full(0, UNPLANNED, np.int64)
        """Nearest planned use of each content: position of the request in the plan."""
        self._order = Runs()
        """Members by age, without those in `_aside`."""
        self._aside = np.zeros(0, bool)
        """Contents that were met in `_order` while they were planned. They return when they leave the plan."""

    def replan(self, planned: list[Contents]) -> None:
        """`planned[i]` are the contents that the i-th planned request will read."""
        before = np.concatenate([np.zeros(0, np.int64), *self._plan])
        self._position[before] = UNPLANNED
        self._plan, self._far_first = planned, None
        # The nearest use decides, so write the furthest first.
        for position in range(len(planned) - 1, -1, -1):
            contents = planned[position]
            if len(contents):
                self._fit(contents)
                self._position[contents] = position
        returned = np.unique(before[self._aside[before] & (self._position[before] == UNPLANNED)])
        self._aside[returned] = False
        self._line_up(returned[self.members(returned)])

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        if len(contents):
            self._fit(contents)
            planned = self._position[contents] != UNPLANNED
            self._aside[contents] = planned
            self._line_up(contents[~planned])

    def victims(self, count: int, allowed: Mask) -> Contents:
        unplanned = self._order.take(count, self._unplanned, allowed)
        return np.concatenate([unplanned, self._furthest(count - len(unplanned), allowed)])

    def _furthest(self, count: int, allowed: Mask) -> Contents:
        """Planned victims: the furthest use first, of one request the oldest block."""
        if count == 0:
            return np.zeros(0, np.int64)
        if self._far_first is None:
            self._far_first = self._sorted_plan()
        candidates = self._far_first[self.members(self._far_first)]
        candidates = candidates[allowed(candidates)]
        position = self._position[candidates]
        if len(candidates) > count:
            candidates = candidates[position >= position[count - 1]]
        return candidates[np.lexsort((self._serial[candidates], -self._position[candidates]))][:count]

    def _sorted_plan(self) -> Contents:
        """Planned contents by their nearest use, the furthest first."""
        contents = np.concatenate([np.zeros(0, np.int64), *reversed(self._plan)])
        positions = np.repeat(np.arange(len(self._plan))[::-1], [len(part) for part in reversed(self._plan)])
        return contents[self._position[contents] == positions]

    def _unplanned(self, contents: Contents, serials: np.ndarray) -> np.ndarray:
        """Which entries of `_order` still count; the planned ones among them are set aside."""
        current = self._current(contents, serials)
        planned = self._position[contents] != UNPLANNED
        self._aside[contents[current & planned]] = True
        return current & ~planned

    def _line_up(self, contents: Contents) -> None:
        contents = contents[np.argsort(self._serial[contents])]
        self._order.push(np.zeros(len(contents), np.int64), self._serial[contents], contents)

    def _fit(self, contents: Contents) -> None:
        largest = int(contents.max())
        self._position = fitted(self._position, largest, UNPLANNED)
        self._aside = fitted(self._aside, largest, False)
