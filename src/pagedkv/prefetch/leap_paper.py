"""Leap, as its paper describes it."""

from __future__ import annotations

from collections import deque

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


class _History:
    """Deltas of one stream of remote accesses, newest first, and the state of its window."""

    def __init__(self, size: int) -> None:
        self.deltas: deque[int] = deque(maxlen=size)
        self.last: int | None = None
        self.window = 0
        self.hits = 0
        self.trend: int | None = None

    def access(self, index: int) -> None:
        if self.last is not None:
            self.deltas.appendleft(index - self.last)
        self.last = index


def majority(values: list[int]) -> int | None:
    """The value that occurs in more than half of `values` (Boyer-Moore vote, then count), or None."""
    candidate, votes = None, 0
    for value in values:
        if votes == 0:
            candidate = value
        votes += 1 if value == candidate else -1
    if candidate is not None and values.count(candidate) >= len(values) // 2 + 1:
        return candidate
    return None


@register
class LeapPaper(OnAccess):
    """Majority trend over the last remote accesses, with a window that follows the hits.

    History: the last `history` deltas of consecutive remote accesses (faults and uses of prefetched blocks). Trend:
    the majority of the newest w deltas, w = `history` / `splits`, doubled until one is found or w exceeds the history.
    Window at a fault, with c prefetched blocks used since the last one: c = 0 gives 1 if the fault follows the trend,
    else 0; otherwise the power of two from c + 1 upwards, at most `window_max`; never below half the last window.
    Fetch fault + i * trend for i = 1 .. window; without a trend, `window` blocks around the fault at the last known
    trend; nothing if the window is 0.

    `per_stream`: one history for each stream, or one for all (addresses of different requests then mix, as they
    would for a kernel that sees one process). The eager freeing of used pages concerns a swap cache, which a paged
    KV cache does not have.

    Level: I0/I1. Cost: O(history) a fault. Source: Maruf and Chowdhury, USENIX ATC 2020.
    """

    name = "leap_paper"
    level = Level.I0
    source = "Maruf and Chowdhury, USENIX ATC 2020"
    parameters = {"history": 32, "splits": 4, "window_max": 8, "per_stream": True}
    least = {"history": 1, "splits": 1, "window_max": 1}
    reach = "window_max"
    choices = {"per_stream": (True, False)}

    history: int
    splits: int
    window_max: int
    per_stream: bool

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._histories: dict[int, _History] = {}

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        key = stream if self.per_stream else -1
        history = self._histories.setdefault(key, _History(self.history))
        history.access(index)
        if kind == FAULT:
            return self._fault(history, stream, index)
        history.hits += 1
        return []

    def _fault(self, history: _History, stream: int, fault: int) -> list[Fetch]:
        trend = self._trend(history)
        follows = trend is not None and len(history.deltas) > 0 and history.deltas[0] == trend
        if history.hits == 0:
            window = 1 if follows else 0
        else:
            window = min(1 << history.hits.bit_length(), self.window_max)
        window = max(window, history.window // 2)
        history.window, history.hits = window, 0
        if window == 0:
            return []
        if trend is not None:
            history.trend = trend
            return [Fetch(stream, fault + i * trend) for i in range(1, window + 1)] if trend else []
        step = history.trend or 1
        around = [i for d in range(1, window + 1) for i in (d, -d)][:window]
        return [Fetch(stream, fault + i * step) for i in around if fault + i * step >= 0]

    def _trend(self, history: _History) -> int | None:
        deltas = list(history.deltas)
        width = max(1, self.history // self.splits)
        while width <= self.history:
            found = majority(deltas[:width])
            if found is not None or width >= len(deltas):
                return found
            width *= 2
        return None
