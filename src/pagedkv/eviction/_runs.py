"""Contents in order of rank, and of age among equals."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from pagedkv.eviction._queue import Current, Mask, looked_at

Run = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Ranks, serials and contents, in order of (rank, serial)."""


class Runs:
    """A priority queue of whole runs: lowest rank first, of equals the lowest serial.

    What is pushed together stays together as a sorted run, and a heap knows the run with the first entry. So a push of
    n contents costs one sort and one heap operation, and taking k costs O(k) as long as runs do not interleave. Void
    entries are dropped when they come up, as in `Queue`.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Run]] = []

    def push(self, ranks: np.ndarray, serials: np.ndarray, contents: np.ndarray) -> None:
        """Add contents; `serials` ascend. A pair of rank and serial is pushed at most once as long as it counts."""
        if len(ranks) > 1 and (ranks[1:] < ranks[:-1]).any():
            order = np.argsort(ranks, kind="stable")
            ranks, serials, contents = ranks[order], serials[order], contents[order]
        self._push((ranks, serials, contents))

    def take(self, count: int, current: Current, allowed: Mask) -> np.ndarray:
        """The first `count` contents that are `current` and `allowed`, or as many as there are. They keep their place,
        and so do those that are not allowed."""
        chosen: list[np.ndarray] = []
        passed: list[Run] = []
        most = looked_at(count)
        while count > 0 and self._heap:
            run = self._first(most)
            valid = current(run[2], run[1])
            if not valid.all():
                run = tuple(column[valid] for column in run)
            contents = run[2]
            if len(contents) == 0:
                continue
            admitted = contents[allowed(contents)][:count]
            chosen.append(admitted)
            count -= len(admitted)
            passed.append(run)
            most *= 2  # few are allowed: look further each time
        if passed:
            # What was split for the sake of the order is one run again.
            self._push(passed[0] if len(passed) == 1 else tuple(map(np.concatenate, zip(*passed, strict=True))))
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)

    def _push(self, run: Run) -> None:
        if len(run[0]):
            heappush(self._heap, (int(run[0][0]), int(run[1][0]), run))

    def _first(self, most: int) -> Run:
        """Remove and return the first entries of all, at most `most`: of the first run what precedes the next run."""
        ranks, serials, contents = heappop(self._heap)[2]
        end = min(most, len(ranks))
        if self._heap:
            rank, serial, _ = self._heap[0]
            if (int(ranks[end - 1]), int(serials[end - 1])) > (rank, serial):
                low, high = np.searchsorted(ranks[:end], (rank, rank + 1)).tolist()
                end = low + int(np.searchsorted(serials[low:high], serial))
        self._push((ranks[end:], serials[end:], contents[end:]))
        return ranks[:end], serials[:end], contents[:end]
