"""Least frequently used."""

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import Contents, RankedEviction
from pagedkv.eviction.registry import register


@register
class Lfu(RankedEviction):
    """Evict the block with the fewest references since it got its slot; of equals the one that is out of use longest.

    A block that was evicted starts again from nothing. Blocks in use are not in the order. Blocks that nobody will
    read again keep what they have earned and are never retired: the policy's known weakness.

    Level: I0. Cost: O(1) a block that is read or becomes evictable. Source: the classic in-cache LFU; SGLang's `lfu`.
    """

    name = "lfu"
    level = Level.I0
    source = "classic in-cache LFU; SGLang offers it as lfu"
    leaps = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._references = np.zeros(0, np.int64)

    def admit(self, contents: Contents) -> None:
        if len(contents):
            self._references = fitted(self._references, int(contents.max()), 0)
            self._references[contents] = 0

    def touch(self, contents: Contents) -> None:
        if len(contents):
            self._references = fitted(self._references, int(contents.max()), 0)
            self._references[contents] += 1

    def rank(self, contents: Contents) -> np.ndarray:
        return self._references[contents]
