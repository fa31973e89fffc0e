"""Furthest planned use first."""

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import Contents, ScoredEviction
from pagedkv.eviction.registry import register

UNPLANNED = (1 << 20) - 1


@register
class PlanAware(ScoredEviction):
    """Evict what the scheduler's plan does not name, least recently used first; then the furthest planned use.

    The engine calls `replan` whenever the queue changed, with the contents of the planned requests in order of their
    planned use.

    Level: I4. Cost: O(planned blocks) a change of the queue, O(slots) an eviction. Source: KVFlow and
    CachedAttention evict by position in the queue or workflow; design section 7.
    """

    name = "plan_aware"
    level = Level.I4
    requests = 64
    """How far the plan is looked at, in requests of the queue."""

    def __init__(self) -> None:
        super().__init__()
        self._planned = np.zeros(0, np.int64)
        self._marked: list[Contents] = []

    def replan(self, planned: list[Contents]) -> None:
        """`planned[i]` are the contents that the i-th planned request will read."""
        for contents in self._marked:
            self._planned[contents] = UNPLANNED
        self._marked = planned
        # The nearest use decides, so write the furthest first.
        for position in range(len(planned) - 1, -1, -1):
            contents = planned[position]
            if len(contents):
                self._planned = fitted(self._planned, int(contents.max()), UNPLANNED)
                self._planned[contents] = min(position, UNPLANNED - 1)

    def score(self, contents: Contents) -> np.ndarray:
        self._planned = fitted(self._planned, int(contents.max()), UNPLANNED)
        return self._planned[contents]
