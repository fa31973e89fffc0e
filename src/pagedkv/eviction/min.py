"""Belady's MIN on the whole future."""

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import Contents, ScoredEviction
from pagedkv.eviction.registry import register

NEVER = (1 << 20) - 1


@register
class Min(ScoredEviction):
    """Evict the block whose next use lies furthest in the future; blocks never used again go first.

    `next_use` gives, for each content, the step at which a request that holds it next joins the batch; the replay
    sets it, and keeps it current. Steps are compared relative to `now_step`.

    Level: I6. Cost: O(slots) an eviction. Source: Belady, IBM Systems Journal 5(2), 1966; batched form of
    policies.md 6.4. MIN minimises loads, not stall.
    """

    name = "min"
    level = Level.I6

    def __init__(self) -> None:
        super().__init__()
        self.next_use = np.zeros(0, np.int64)
        self.now_step = 0

    def score(self, contents: Contents) -> np.ndarray:
        return np.minimum(self.next_use[contents] - self.now_step, NEVER)
