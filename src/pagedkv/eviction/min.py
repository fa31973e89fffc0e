"""Belady's MIN on the whole future."""

from typing import Any

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import Contents, RankedEviction
from pagedkv.eviction.registry import register


@register
class Min(RankedEviction):
    """Evict the block whose next use lies furthest in the future; blocks never used again go first.

    `next_use` gives, for each content, the step at which a request that holds it next joins the batch; the replay
    sets it, and keeps it current: it changes when such a request joins, and then the content is not evictable.

    Level: I6. Cost: O(victims). Source: Belady, IBM Systems Journal 5(2), 1966; batched form of policies.md 6.4. MIN
    minimises loads, not stall.
    """

    name = "min"
    level = Level.I6
    source = "Belady, IBM Systems Journal 5(2), 1966"
    leaps = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.next_use = np.zeros(0, np.int64)

    def rank(self, contents: Contents) -> np.ndarray:
        return -self.next_use[contents]
