"""Linux VMA readahead."""

from __future__ import annotations

from dataclasses import dataclass

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch._swap_readahead import FIRST_HITS, around, window_pages
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register

ORDER_CEILING = 5
"""A window never exceeds 2**5 pages, whatever `page_cluster` says (the kernel's SWAP_RA_ORDER_CEILING)."""


@dataclass
class _Area:
    """What the kernel keeps in a VMA: last address, window of the last fault, hits since then."""

    last: int = 0
    window: int = 0
    hits: int = FIRST_HITS


@register
class LinuxVma(OnAccess):
    """Swap readahead of Linux on fast devices: a window around the fault, sized by recent hits.

    At a fault at page f with previous address p and h hits since the last fault: n = h + 2, except that with h = 0
    it is 1, or 2 if f is next to p; else rounded up to a power of two of at least 4; at most
    2**min(page_cluster, 5); at least half the last window. The window is [f, f+n) if f = p+1, (f-n, f] if f = p-1,
    else it has (n-1)//2 pages to the left of f; it is clipped to the area and to the aligned `region` of f. The first
    use of a page read ahead moves p and counts as a hit.

    An area is a stream: a request under logical addressing, the whole pool under physical addressing. Clipping to
    the area is the issuer's (what does not exist is dropped). `region` is the span of a page table page, 512.

    Level: I0/I1. Cost: O(1) a fault. Source: Linux mm/swap_state.c (`swap_vma_ra_win`), rule in policies.md 2.3.
    """

    name = "linux_vma"
    level = Level.I0
    source = "Linux, mm/swap_state.c (VMA readahead)"
    parameters = {"page_cluster": 3, "region": 512}
    least = {"page_cluster": 0, "region": 1}

    page_cluster: int
    region: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._areas: dict[int, _Area] = {}

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        area = self._areas.get(stream)
        if area is None:
            area = self._areas[stream] = _Area()
        if kind == FAULT:
            return self._fault(area, stream, index)
        area.last = index
        area.hits += 1
        return []

    def _fault(self, area: _Area, stream: int, fault: int) -> list[Fetch]:
        most = 1 << min(self.page_cluster, ORDER_CEILING)
        window = window_pages(area.hits, abs(fault - area.last) == 1, most, area.window)
        previous, area.last, area.window, area.hits = area.last, fault, window, 0
        if window == 1:
            return []
        if fault == previous + 1:
            first = fault
        elif fault == previous - 1:
            first = fault - window + 1
        else:
            first = fault - (window - 1) // 2
        aligned = fault - fault % self.region
        last = min(first + window, aligned + self.region)
        first = max(first, aligned, 0)
        return around(stream, first, last, fault)
