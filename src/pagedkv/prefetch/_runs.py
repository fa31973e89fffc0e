"""Accesses and proposals as runs of adjoining blocks, so that a burst costs by its runs and not by its blocks.

In D-step a whole request faults in one call. Seen from inside a run of such a burst, what comes next in it is on its
way already: a policy that predicts from the newest access of a stream learns from every block of a run, but predicts
only from its last one. Where each fault is a call of its own, a run is one access.
"""

from __future__ import annotations

import numpy as np

from pagedkv.engine.view import Accesses
from pagedkv.prefetch.base import Fetch


def runs(accesses: Accesses) -> list[tuple[int, int, int]]:
    """(stream, first, count) of maximal runs of ascending neighbours in a stream, in the order of the accesses."""
    stream, index = accesses.stream, accesses.index
    if len(stream) == 0:
        return []
    breaks = np.flatnonzero((np.diff(stream) != 0) | (np.diff(index) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    counts = np.diff(np.append(starts, len(stream)))
    return list(zip(stream[starts].tolist(), index[starts].tolist(), counts.tolist(), strict=True))


class Ranges:
    """Proposed blocks in their order; those that adjoin or overlap the range before are one range with it."""

    def __init__(self) -> None:
        self._ranges: list[list[int]] = []

    def add(self, stream: int, first: int, count: int = 1) -> None:
        """Append blocks [first, first + count) of a stream, without those before its block 0."""
        if first < 0:
            first, count = 0, count + first
        if count <= 0:
            return
        last = self._ranges[-1] if self._ranges else None
        if last is not None and last[0] == stream and last[1] <= first <= last[1] + last[2]:
            last[2] = max(last[2], first + count - last[1])
        else:
            self._ranges.append([stream, first, count])

    def fetches(self) -> list[Fetch]:
        """The ranges as an answer of a policy."""
        return [Fetch(stream, first, count) for stream, first, count in self._ranges]
