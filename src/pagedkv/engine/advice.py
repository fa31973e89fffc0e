"""Hints of a prefetch policy, laid over the order of the eviction policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pagedkv.columns import fitted
from pagedkv.eviction.base import EvictionPolicy


class Advice:
    """A rank for each content: below 0 demoted, 0 not named, above 0 kept. Lower ranks leave first.

    The contents that one request names share a rank, and the eviction policy decides among them; a content that several
    requests name has the highest of their ranks. Nothing is pinned: the last ranks leave as well when room is needed.
    """

    def __init__(self) -> None:
        self._rank = np.zeros(0, np.int32)
        self._named: list[np.ndarray] = []

    def __bool__(self) -> bool:
        return bool(self._named)

    def replace(self, demote: Sequence[np.ndarray], keep: Sequence[np.ndarray]) -> None:
        """Contents of requests: `demote` from the first to leave on, `keep` from the last to leave on."""
        for contents in self._named:
            self._rank[contents] = 0
        ranked = [*enumerate(demote, start=-len(demote)), *enumerate(reversed(keep), start=1)]
        self._named = [contents for _, contents in ranked if len(contents)]
        if self._named:
            self._rank = fitted(self._rank, max(int(contents.max()) for contents in self._named), 0)
        for rank, contents in ranked:
            self._rank[contents] = rank

    def victims(
        self,
        eviction: EvictionPolicy,
        count: int,
        allowed: Callable[[np.ndarray], np.ndarray],
        resident: np.ndarray,
    ) -> np.ndarray:
        """As `eviction.victims`, rank by rank. `resident` holds all members at least."""
        candidates = resident[eviction.members(resident)]
        chosen: list[np.ndarray] = []
        for rank in np.unique(self._ranks(candidates[allowed(candidates)])).tolist():
            of_rank = self._within(rank, allowed)
            chosen.append(eviction.victims(count, of_rank))
            count -= len(chosen[-1])
            if count == 0:
                break
        return np.concatenate(chosen) if chosen else candidates[:0]

    def _within(self, rank: int, allowed: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda contents: allowed(contents) & (self._ranks(contents) == rank)

    def _ranks(self, contents: np.ndarray) -> np.ndarray:
        if len(contents):
            self._rank = fitted(self._rank, int(contents.max()), 0)
        return self._rank[contents]
