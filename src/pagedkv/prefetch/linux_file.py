"""Linux file readahead."""

from __future__ import annotations

from dataclasses import dataclass, field

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, View
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch._residency import Residency
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@dataclass
class _File:
    """What the kernel keeps for an open file: the last window, its asynchronous part, the last page read.

    `marks` are the pages that carry the readahead flag.
    """

    start: int = 0
    size: int = 0
    ahead: int = 0
    previous: int | None = None
    marks: set[int] = field(default_factory=set)


def first_size(request: int, most: int) -> int:
    """Size of a first window for a read of `request` pages."""
    rounded = 1 << (request - 1).bit_length()
    if rounded <= most // 32:
        return 4 * rounded
    return 2 * rounded if rounded <= most // 4 else most


def next_size(size: int, most: int) -> int:
    """Size of the window after one of `size`."""
    if size < most // 16:
        return 4 * size
    return 2 * size if size <= most // 2 else most


@register
class LinuxFile(OnAccess):
    """On-demand readahead of Linux for files: growing windows, the next one fetched while the last is being read.

    With M = `window_max` and reads of q = `request` pages. Miss at i: if i is 0, or q exceeds M, or i is the last
    page read or the one behind it, a first window starts at i (2 q, 4 q or M pages, by q's share of M), all but q of
    it asynchronous. Else count the present pages just before i, at most M: if more than q, the window starts at i with
    that many pages (twice as many if they reach back to 0) plus q, at most M, one of them asynchronous. Else only q
    pages are read, and the state stays. The page at start + size - asynchronous part is marked, if it was absent.
    First use of a marked page i: if it is where the window's mark was set, the next window follows the last (4 or 2
    times its size, or M). Else it starts at the first absent page within M behind i, sized as if its distance + q had
    been the last window. Then all of it is asynchronous. A window whose mark would be the page being read takes the
    next one in at once.

    `window_max`: 32 pages, the kernel's 128 KiB. `request`: 1. A file is a stream. The kernel sees every read of a
    file; here, as for a mapped file, accesses to present pages are not seen, so that the last page read is that of the
    last fault or first use.

    Level: I0/I1. Cost: O(window_max) a miss or mark. Source: Linux mm/readahead.c (`ondemand_readahead`), policies.md
    2.4.
    """

    name = "linux_file"
    level = Level.I0
    source = "Linux, mm/readahead.c (on-demand readahead)"
    parameters = {"window_max": 32, "request": 1}
    least = {"window_max": 1, "request": 1}
    reach = "window_max"
    feedback = True

    window_max: int
    request: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._files: dict[int, _File] = {}
        self._residency = Residency()

    def propose(self, view: View) -> list[Fetch]:
        self._residency.update(view)
        return super().propose(view)

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        self._residency.expected(stream, index, 1)
        file = self._files.get(stream)
        if file is None:
            file = self._files[stream] = _File()
        marked = index in file.marks
        file.marks.discard(index)
        fetches: list[Fetch] = []
        if kind == FAULT:
            fetches = self._miss(file, stream, index)
        elif marked and self._advance(file, stream, index):
            fetches = self._read(file, stream, index)
        file.previous = index
        return fetches

    def _miss(self, file: _File, stream: int, index: int) -> list[Fetch]:
        request, most = self.request, self.window_max
        follows = file.previous is not None and 0 <= index - file.previous <= 1
        if index == 0 or request > most or follows:
            size = first_size(request, most)
            file.start, file.size, file.ahead = index, size, size - request if size > request else size
            return self._read(file, stream, index)
        before = self._residency.present_before(stream, index, self.window_max)
        if before <= request:
            return [Fetch(stream, index + 1, request - 1)] if request > 1 else []
        run = 2 * before if before == index else before
        file.start, file.size, file.ahead = index, min(run + request, most), 1
        return self._read(file, stream, index)

    def _advance(self, file: _File, stream: int, index: int) -> bool:
        """A marked page is used: move the window on. False if all pages within the largest window are present."""
        if index == file.start + file.size - file.ahead:
            file.start += file.size
            file.size = next_size(file.size, self.window_max)
        else:
            hole = self._residency.present_behind(stream, index + 1, self.window_max)
            if hole == self.window_max:
                return False
            file.start = index + 1 + hole
            file.size = next_size(file.start - index + self.request, self.window_max)
        file.ahead = file.size
        return True

    def _read(self, file: _File, stream: int, index: int) -> list[Fetch]:
        """Fetch the window without page `index`, which is there, and mark the page that brings the next one."""
        most = self.window_max
        if index == file.start and file.size == file.ahead:
            more = next_size(file.size, most)
            if file.size + more <= most:
                file.size, file.ahead = file.size + more, more
            else:
                file.size, file.ahead = most, most // 2
        mark = file.start + file.size - file.ahead
        if file.ahead and not self._residency.holds(stream, mark):
            file.marks.add(mark)
        first = max(file.start, index + 1)
        count = file.start + file.size - first
        self._residency.expected(stream, first, count)
        return [Fetch(stream, first, count)] if count else []
