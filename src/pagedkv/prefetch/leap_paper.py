"""Leap, as its paper describes it."""

from __future__ import annotations

from collections import deque

from pagedkv.engine.ladder import Level
from pagedkv.prefetch._leap import History, Leap, majority
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class LeapPaper(Leap):
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

    history: int
    splits: int
    window_max: int

    def new_history(self) -> History:
        return History(deque(maxlen=self.history))

    def fault(self, history: History, stream: int, fault: int) -> list[Fetch]:
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

    def _trend(self, history: History) -> int | None:
        deltas = list(history.deltas)
        width = max(1, self.history // self.splits)
        while width <= self.history:
            found = majority(deltas[:width])
            if found is not None or width >= len(deltas):
                return found
            width *= 2
        return None
