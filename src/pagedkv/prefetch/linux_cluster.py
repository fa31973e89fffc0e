"""Linux swap cluster readahead."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch._swap_readahead import FIRST_HITS, aligned_cluster, window_pages
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class LinuxCluster(OnAccess):
    """Swap readahead of Linux on rotational devices: the aligned block of swap slots that holds the fault.

    At a fault at slot o with h hits since the last fault: n = h + 2, except that with h = 0 it is 1, or 2 if o is next
    to the slot of the last fault without hits; else rounded up to a power of two of at least 4; at most
    2**page_cluster; at least half the last n. With n > 1, the aligned block of n slots around o is read, both sides of
    o. The first use of a block read ahead is a hit. All of this state is one for the whole machine: requests are not
    told apart, and neighbours in the swap file are what was swapped out together. Its home is the host tier.

    `page_cluster`: 3, the kernel's default above 16 MB of memory. The kernel never reads slot 0, its swap header; a
    host tier has none.

    Level: I0/I1. Cost: O(1) a fault. Source: Linux mm/swap_state.c (`swap_cluster_readahead`), policies.md 2.2.
    """

    name = "linux_cluster"
    level = Level.I0
    source = "Linux, mm/swap_state.c (cluster readahead)"
    parameters = {"page_cluster": 3}
    least = {"page_cluster": 0}

    page_cluster: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._hits = FIRST_HITS
        self._previous = 0
        self._last = 0

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        if kind == FAULT:
            return self._fault(stream, index)
        self._hits += 1
        return []

    def _fault(self, stream: int, fault: int) -> list[Fetch]:
        if self.page_cluster == 0:
            return []
        hits, self._hits = self._hits, 0
        pages = window_pages(hits, abs(fault - self._previous) == 1, 1 << self.page_cluster, self._last)
        if hits == 0:
            # The kernel remembers a slot only here, where it will compare with it.
            self._previous = fault
        self._last = pages
        return aligned_cluster(stream, fault, pages)
