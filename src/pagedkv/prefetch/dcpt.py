"""Delta-correlating prediction tables: delta correlation within each stream (PC/DC)."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import repeat

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._runs import Ranges, runs
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

LARGEST = (1 << 11) - 1
"""Deltas have 12 bits. One that does not fit is kept as UNKNOWN."""
UNKNOWN = 0
"""Never matched, and the end of a replay. Real deltas are not 0: an access to the same block again is none."""


class _Entry:
    """Deltas of one stream, oldest first, and the last block that was proposed for it."""

    def __init__(self, last: int, size: int) -> None:
        self.last = last
        self.deltas: deque[int] = deque(maxlen=size)
        self.mark: int | None = None

    def record(self, first: int, count: int) -> None:
        """Accesses to [first, first + count)."""
        delta = first - self.last
        if delta:
            self.deltas.append(delta if -LARGEST - 1 <= delta <= LARGEST else UNKNOWN)
        self.deltas.extend(repeat(1, min(count - 1, self.deltas.maxlen)))
        self.last = first + count - 1

    def candidates(self) -> list[int]:
        """The last address plus the deltas that followed the oldest occurrence of the two newest, summed up."""
        deltas = list(self.deltas)
        pattern = deltas[-2:]
        if len(deltas) < 3 or UNKNOWN in pattern:
            return []
        at = next((i for i in range(len(deltas) - 2) if deltas[i : i + 2] == pattern), None)
        if at is None:
            return []
        address, found = self.last, []
        for delta in deltas[at + 2 :]:
            if delta == UNKNOWN:
                break
            address += delta
            found.append(address)
        return found


@register
class Dcpt(PrefetchPolicy):
    """Per stream: find the last two deltas in its ring, and replay what followed them there.

    A table of `streams` entries, least recently used first out; each holds the last address, a ring of `deltas` deltas
    and the last block proposed. The ring is searched from its oldest end, so that a match is followed by as many
    deltas as possible; there is no other limit on how many blocks are proposed. If the last block proposed is among
    the candidates, those up to it were proposed before and are dropped. Deltas are compared in full (mask 0).

    Level: I0/I1. Cost: O(deltas) a run of accesses. State: `deltas` + 2 words a stream. Source: Grannaes, Jahre and
    Natvig, Journal of Instruction-Level Parallelism 13, 2011; PC/DC of Nesbit and Smith, HPCA 2004, in its simple form.
    """

    name = "dcpt"
    level = Level.I0
    source = "Grannaes, Jahre and Natvig, JILP 2011"
    parameters = {"deltas": 20, "streams": 256}
    least = {"deltas": 3, "streams": 1}

    deltas: int
    streams: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._table: OrderedDict[int, _Entry] = OrderedDict()

    def propose(self, view: View) -> list[Fetch]:
        wanted = Ranges()
        for stream, first, count in runs(view.accesses):
            entry = self._entry(stream, first)
            entry.record(first, count)
            found = entry.candidates()
            if entry.mark in found:
                found = found[found.index(entry.mark) + 1 :]
            if found:
                entry.mark = found[-1]
            for index in found:
                wanted.add(stream, index)
        return wanted.fetches()

    def _entry(self, stream: int, first: int) -> _Entry:
        entry = self._table.pop(stream, None)
        if entry is None:
            entry = _Entry(first, self.deltas)
            if len(self._table) == self.streams:
                self._table.popitem(last=False)
        self._table[stream] = entry
        return entry
