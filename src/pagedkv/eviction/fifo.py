"""First in, first out."""

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import Contents, RankedEviction
from pagedkv.eviction.registry import register


@register
class Fifo(RankedEviction):
    """Evict the block that got its slot first, however often it was used since.

    A block in use keeps its place in the queue and is skipped. Of blocks that got their slots together, as a loaded
    request's do, the last one goes first.

    Level: I0. Cost: O(1) a block that becomes evictable. Source: the classic policy; SGLang's `fifo`.
    """

    name = "fifo"
    level = Level.I0
    source = "classic; SGLang offers it as fifo"

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._arrival = np.full(0, -1, np.int64)
        self._arrivals = 0

    def admit(self, contents: Contents) -> None:
        if len(contents):
            self._arrival = fitted(self._arrival, int(contents.max()))
            self._arrival[contents] = np.arange(self._arrivals, self._arrivals + len(contents))
            self._arrivals += len(contents)

    def rank(self, contents: Contents) -> np.ndarray:
        return self._arrival[contents]
