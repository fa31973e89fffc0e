"""Leap, as its public kernel code does it."""

from __future__ import annotations

from collections import deque

from pagedkv.engine.ladder import Level
from pagedkv.prefetch._leap import History, Leap, majority
from pagedkv.prefetch._swap_readahead import FIRST_HITS, aligned_cluster, clamped, rounded
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register

SPLITS = 4
"""The first search for a trend looks at a quarter of the history; the code fixes it."""


@register
class LeapCode(Leap):
    """Majority trend over the last remote accesses, in the window of the kernel's swap readahead.

    As `leap_paper`, with the differences of the published kernel patch. The search for a majority starts at a quarter
    of the `history`. The window n at a fault is the kernel's cluster size without its adjacency test, so never below
    four: hits + 2, rounded up to a power of two, at most 2**page_cluster, at least half the last. With a trend, n
    addresses from the fault on at the trend's stride are read; the first of them is the fault itself, so that n - 1 are
    ahead. Without a trend, the aligned block of n around the fault. The history starts as zeros: until half of a
    searched stretch is real, the trend is zero and nothing is read ahead.

    `history`: 32 deltas. `page_cluster`: 3. `per_stream`: one history for each stream; False, as in the code, is one
    for all. The prefetch buffer, which frees used pages early, concerns a swap cache.

    Level: I0/I1. Cost: O(history) a fault. Source: SymbioticLab/Leap, mm/swap_state.c; policies.md 3.8.
    """

    name = "leap_code"
    level = Level.I0
    source = "Maruf and Chowdhury, USENIX ATC 2020 (public kernel code)"
    parameters = {"history": 32, "page_cluster": 3, "per_stream": False}
    least = {"history": SPLITS, "page_cluster": 0}

    history: int
    page_cluster: int

    def new_history(self) -> History:
        # The code allocates zeros, and counts them as deltas until they are overwritten.
        return History(deque([0] * self.history, maxlen=self.history), FIRST_HITS)

    def fault(self, history: History, stream: int, fault: int) -> list[Fetch]:
        if self.page_cluster == 0:
            return []
        pages = clamped(rounded(history.hits), 1 << self.page_cluster, history.window)
        history.window, history.hits = pages, 0
        trend = self._trend(history)
        if trend is None:
            return aligned_cluster(stream, fault, pages)
        ahead = [fault + i * trend for i in range(1, pages)] if trend else []
        return [Fetch(stream, index) for index in ahead if index >= 0]

    def _trend(self, history: History) -> int | None:
        deltas = list(history.deltas)
        width = len(deltas) // SPLITS
        for size in (width, 2 * width, 4 * width):
            found = majority(deltas[:size])
            if found is not None:
                return found
        return None
