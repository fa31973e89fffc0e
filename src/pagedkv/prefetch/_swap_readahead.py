"""What the swap readahead policies of Linux share: the size of a window, and reading around a fault."""

from __future__ import annotations

from pagedkv.prefetch.base import Fetch

FIRST_HITS = 4
"""Hits assumed before the first fault, so that readahead starts with a window above one page."""


def window_pages(hits: int, adjacent: bool, most: int, last: int) -> int:
    """Pages to read at a fault, the faulting one included.

    `hits`: pages read ahead that were used since the last fault; without any, two pages if the fault is `adjacent`
    to the previous one, else one. With some, `hits` + 2, rounded up to a power of two of at least 4. At most `most`,
    at least half of the `last` window. Source: Linux mm/swap_state.c (`__swapin_nr_pages`).
    """
    if hits == 0:
        return clamped(2 if adjacent else 1, most, last)
    return clamped(rounded(hits), most, last)


def rounded(hits: int) -> int:
    """`hits` + 2, rounded up to a power of two of at least 4."""
    return max(4, 1 << (hits + 1).bit_length())


def clamped(pages: int, most: int, last: int) -> int:
    """`pages`, at most `most`; but a window does not shrink below half of the `last` one."""
    return max(min(pages, most), last // 2)


def aligned_cluster(stream: int, fault: int, pages: int) -> list[Fetch]:
    """The aligned block of `pages` (a power of two) that holds `fault`, without it."""
    first = fault - fault % pages
    return around(stream, first, first + pages, fault)


def around(stream: int, first: int, end: int, fault: int) -> list[Fetch]:
    """[first, end) without the faulting page, which is the demand load."""
    fetches = [Fetch(stream, first, fault - first)] if fault > first else []
    if end > fault + 1:
        fetches.append(Fetch(stream, fault + 1, end - fault - 1))
    return fetches
