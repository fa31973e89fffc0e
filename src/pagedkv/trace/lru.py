"""Exact LRU over the block accesses of a trace, at a cost that grows with events instead of accesses.

The accesses of a trace are regular: while a batch stays together, every step reads what the step before it read, in
the same order, plus the blocks that its requests have begun. So the LRU stack is kept as runs of consecutive blocks,
and of a stretch of steps with one batch only the first, the last and at most two in between are played; what the
others miss is known (see `_stretch_misses`). Equal, access by access, to any textbook LRU.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.extents import expand


class _Run:
    """Consecutive blocks [low, high) accessed one after the other, the lowest first."""

    __slots__ = ("high", "low", "newer", "older")

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.older = self.newer = self


class LruStack:
    """The last `capacity` distinct blocks accessed, in order of their last access.

    Runs form a ring through a sentinel, from the least (`newer` of the sentinel) to the most recent one; a sorted list
    of their first blocks finds the run of a block. Cost of an access: a few operations per run that it touches.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise PagedKVError(f"lru: a capacity of {capacity} blocks is too small")
        self.capacity = capacity
        self.size = 0
        self._end = _Run(-1, -1)
        self._runs: dict[int, _Run] = {}
        self._lows: list[int] = []

    def access(self, first: int, count: int) -> int:
        """Access `count` blocks from `first` on, one by one; returns how many of them missed."""
        low, end, misses = first, first + count, 0
        while low < end:
            run = self._runs.get(low) or self._covering(low)
            if run is None:
                high = min(end, self._next_low(low))
                misses += high - low
                self.size += high - low
                self._push(low, high, joined=low > first)
                self._evict()
            else:
                high = min(end, run.high)
                self._take(run, low, high)
                self._push(low, high, joined=low > first)
            low = high
        return misses

    def holds_any(self, low: int, high: int) -> bool:
        """Whether a block of [low, high) is in the stack."""
        return low < high and (self._covering(low) is not None or self._next_low(low) < high)

    # ------------------------------------------------------------ runs
    def _covering(self, block: int) -> _Run | None:
        place = bisect_right(self._lows, block) - 1
        run = self._runs[self._lows[place]] if place >= 0 else None
        return run if run is not None and run.high > block else None

    def _next_low(self, block: int) -> int | float:
        place = bisect_right(self._lows, block)
        return self._lows[place] if place < len(self._lows) else float("inf")

    def _push(self, low: int, high: int, joined: bool) -> None:
        """[low, high) is the most recent run, or, if `joined`, the continuation of the most recent one."""
        newest = self._end.older
        if joined and newest.high == low:
            newest.high = high
            return
        self._insert(_Run(low, high), behind=newest)

    def _take(self, run: _Run, low: int, high: int) -> None:
        """Cut [low, high) out of `run`. What remains on either side keeps its place."""
        if high < run.high:
            self._insert(_Run(high, run.high), behind=run)
        if low > run.low:
            run.high = low
        else:
            self._remove(run)

    def _evict(self) -> None:
        while self.size > self.capacity:
            oldest = self._end.newer
            gone = min(self.size - self.capacity, oldest.high - oldest.low)
            self._take(oldest, oldest.low, oldest.low + gone)
            self.size -= gone

    def _insert(self, run: _Run, behind: _Run) -> None:
        run.older, run.newer = behind, behind.newer
        behind.newer.older = run
        behind.newer = run
        self._runs[run.low] = run
        insort(self._lows, run.low)

    def _remove(self, run: _Run) -> None:
        run.older.newer, run.newer.older = run.newer, run.older
        del self._runs[run.low]
        del self._lows[bisect_left(self._lows, run.low)]


@dataclass(frozen=True)
class AccessRuns:
    """Block accesses in the form of a trace's `reads`: equally long arrays, one entry a run.

    For `steps` steps from `step` on, a request reads the blocks from `first` on that hold its tokens: `computed` ones
    and `scheduled` more a step, `BLOCK_TOKENS` a block. Within a step requests read in order of `rank`.
    """

    step: np.ndarray
    steps: np.ndarray
    rank: np.ndarray
    first: np.ndarray
    computed: np.ndarray
    scheduled: np.ndarray

    def until(self, step: int) -> AccessRuns:
        """The accesses before `step`."""
        kept = np.flatnonzero(self.step < step)
        steps = np.minimum(self.steps[kept], step - self.step[kept])
        columns = (self.rank, self.first, self.computed, self.scheduled)
        return AccessRuns(self.step[kept], steps, *(column[kept] for column in columns))


@dataclass(frozen=True)
class Stretch:
    """`steps` consecutive steps with one batch: for each request its first block, tokens before, tokens a step."""

    steps: int
    requests: list[tuple[int, int, int]]

    def counts(self, offset: int) -> list[int]:
        """Blocks that each request reads in the step at `offset`."""
        return [-(-(tokens + (offset + 1) * more) // BLOCK_TOKENS) for _, tokens, more in self.requests]

    def totals(self) -> np.ndarray:
        """Accesses of each step."""
        _, tokens, more = np.array(self.requests, np.int64).T
        return (-(-(tokens + np.arange(1, self.steps + 1)[:, None] * more) // BLOCK_TOKENS)).sum(axis=1)


def stretches(runs: AccessRuns) -> Iterator[Stretch]:
    """The steps that read anything, in order, cut wherever a run begins or ends."""
    order = np.lexsort((runs.rank, runs.step))
    columns = (runs.step, runs.step + runs.steps, runs.rank, runs.first, runs.computed, runs.scheduled)
    rows = list(zip(*(column[order].tolist() for column in columns), strict=True))
    edges = np.unique(np.concatenate(columns[:2])).tolist()
    active: list[tuple[int, ...]] = []
    coming = 0
    for step, following in zip(edges[:-1], edges[1:], strict=True):
        active = [row for row in active if row[1] > step]
        while coming < len(rows) and rows[coming][0] == step:
            active.append(rows[coming])
            coming += 1
        if active:
            active.sort(key=lambda row: row[2])
            requests = [
                (first, computed + (step - begun) * more, more) for begun, _, _, first, computed, more in active
            ]
            yield Stretch(following - step, requests)


def expanded(runs: AccessRuns) -> np.ndarray:
    """Every single access: block numbers by step, rank and block. What `lru_misses` never makes."""
    parts = [np.zeros(0, np.int64)]
    for stretch in stretches(runs):
        first, tokens, more = np.array(stretch.requests, np.int64).T
        counts = -(-(tokens + np.arange(1, stretch.steps + 1)[:, None] * more) // BLOCK_TOKENS)
        parts.append(expand(np.tile(first, stretch.steps), counts.ravel()))
    return np.concatenate(parts)


def lru_misses(runs: AccessRuns, stack: LruStack) -> tuple[int, int]:
    """(misses, accesses) of `runs` on an LRU cache that starts as `stack`. Nothing is freed or pinned.

    Cost: O(log) operations a request of a batch, for each change of a batch; none a step or an access.
    """
    misses = accesses = 0
    for stretch in stretches(runs):
        totals = stretch.totals()
        accesses += int(totals.sum())
        misses += _stretch_misses(stack, stretch, totals)
    return misses, accesses


def _stretch_misses(stack: LruStack, stretch: Stretch, totals: np.ndarray) -> int:
    """Play a stretch. Let S_i be what its step i reads; S_0 ⊆ S_1 ⊆ … in one order, and S_0 is played.

    The blocks begun later are not in the stack (else every step is played). As long as S_i fits, step i hits all that
    step i - 1 read, because no more than S_i lies between two accesses, and misses what it begins: playing the last
    step that fits counts all of those at once. Once S_(i-1) does not fit, step i misses everything: all of S_(i-1)
    lies between two accesses. The step in between is played. The stack behind the stretch only depends on the order
    of last accesses, so playing the last step makes it right.
    """
    misses, last = _play(stack, stretch, 0), stretch.steps - 1
    if last == 0:
        return misses
    fitting = int(np.searchsorted(totals, stack.capacity, side="right")) - 1
    if not _begins_unknown(stack, stretch) or (fitting < last and _overlap(stretch)):
        return misses + sum(_play(stack, stretch, offset) for offset in range(1, last + 1))
    misses += sum(_play(stack, stretch, offset) for offset in (fitting, fitting + 1) if 0 < offset <= last)
    if fitting + 1 < last:
        misses += int(totals[fitting + 2 :].sum())
        _play(stack, stretch, last)
    return misses


def _play(stack: LruStack, stretch: Stretch, offset: int) -> int:
    counts = stretch.counts(offset)
    return sum(stack.access(first, count) for (first, _, _), count in zip(stretch.requests, counts, strict=True))


def _begins_unknown(stack: LruStack, stretch: Stretch) -> bool:
    """Whether none of the blocks that the stretch begins after its first step is in the stack."""
    before, after = stretch.counts(0), stretch.counts(stretch.steps - 1)
    return not any(
        stack.holds_any(first + low, first + high)
        for (first, _, _), low, high in zip(stretch.requests, before, after, strict=True)
    )


def _overlap(stretch: Stretch) -> bool:
    """Whether two requests of the stretch share a block at its end."""
    counts = stretch.counts(stretch.steps - 1)
    spans = sorted((first, first + count) for (first, _, _), count in zip(stretch.requests, counts, strict=True))
    return any(high > low for (_, high), (low, _) in zip(spans, spans[1:], strict=False))
