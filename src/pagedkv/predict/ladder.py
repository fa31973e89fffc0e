"""Bits that it takes to tell which page comes next, along the information ladder.

I0 sees addresses of faults, I1 logical ids of faults, I2 logical ids of all accesses. From I3 on the running batch is
known once it is fixed, so that within a step nothing is left to predict: what costs bits is the schedule, that is who
enters and when. I4 sees the queue, I5 the future. All figures are code lengths (`coder.py`), hence upper bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pagedkv.predict.coder import code_length, side_code_length
from pagedkv.predict.streams import Entering, Pages

ORDERS = (0, 1, 4)
"""Contexts: none, the last symbol, the last four."""


def address_bits(addresses: np.ndarray, order: int) -> float:
    """Bits an access for a stream of addresses in one space, coded by their differences (I0)."""
    if len(addresses) == 0:
        return float("nan")
    differences = np.diff(addresses, prepend=0)
    alphabet = 2 * int(np.abs(differences).max()) + 1
    return code_length(differences.tolist(), order, alphabet) / len(addresses)


def logical_bits(pages: Pages, order: int) -> float:
    """Bits an access for (request, block) pairs (I1 on faults, I2 on all accesses).

    Symbols do not name requests, so that what is learned from one serves the next: a block of the request accessed last
    is its distance; a block of another request is that request's place in the order of last access, and the block.
    """
    if len(pages) == 0:
        return float("nan")
    symbols = _relative(pages)
    blocks = int(pages.index.max()) + 1
    requests = len(np.unique(pages.stream))
    return code_length(symbols, order, 2 * blocks + (requests + 1) * blocks) / len(pages)


def _relative(pages: Pages) -> list[tuple]:
    recent: list[int] = []
    symbols: list[tuple] = []
    last_block = 0
    for request, block in zip(pages.stream.tolist(), pages.index.tolist(), strict=True):
        if recent and recent[0] == request:
            symbols.append(("same", block - last_block))
        else:
            place = recent.index(request) if request in recent else len(recent)
            symbols.append(("other", "new" if place == len(recent) else place, block))
            if place < len(recent):
                recent.pop(place)
            recent.insert(0, request)
        last_block = block
    return symbols


@dataclass(frozen=True)
class ScheduleBits:
    """Bits of all entries of a trace: `who` enters, and `when`."""

    who: float
    when: float

    @property
    def total(self) -> float:
        return self.who + self.when


def schedule_bits(entries: Sequence[Entering], steps: int, order: int = 4) -> ScheduleBits:
    """I3: who enters is coded by whose pages it reads, as a place among the requests that were in the batch, the latest
    first; when, by the steps since the entry before (0: the same step)."""
    places, requests = _places(entries)
    return ScheduleBits(code_length(places, order, requests + 1), code_length(_gaps(entries), order, steps))


def queue_bits(entries: Sequence[Entering], steps: int, batch_size: int, quantum_steps: int | None) -> ScheduleBits:
    """I4: who enters is coded by its place in the queue, or, if it was not there, as at I3; when, beside the gap that
    the plan gives: under rotation `batch_size` requests enter together, `quantum_steps` after the ones before."""
    places, requests = _places(entries)
    longest = max((entry.position for entry in entries), default=0)
    symbols = [e.position if e.position >= 0 else ("arrives", p) for e, p in zip(entries, places, strict=True)]
    who = code_length(symbols, 1, longest + requests + 2)
    return ScheduleBits(who, side_code_length(_gaps(entries), _planned_gaps(entries, batch_size, quantum_steps), steps))


def _places(entries: Sequence[Entering]) -> tuple[list[object], int]:
    """Whose pages each entry reads, by recency, or `new`; and how many requests there were."""
    recent: list[int] = []
    places: list[object] = []
    for entry in entries:
        places.append(recent.index(entry.source) if entry.source in recent else "new")
        for known in (entry.source, entry.request):
            if known in recent:
                recent.remove(known)
        recent.insert(0, entry.request)
    return places, len({entry.request for entry in entries})


def _gaps(entries: Sequence[Entering]) -> list[int]:
    return np.diff([entry.step for entry in entries], prepend=0).tolist()


def _planned_gaps(entries: Sequence[Entering], batch_size: int, quantum_steps: int | None) -> list[int | None]:
    """What the plan says before each entry, from the entries before it alone."""
    if quantum_steps is None:
        return [None] * len(entries)
    planned: list[int | None] = []
    together = 0
    for i, entry in enumerate(entries):
        planned.append(0 if 0 < together < batch_size else quantum_steps)
        together = together + 1 if i and entry.step == entries[i - 1].step else 1
    return planned


def membership_bits(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Bits for which of a request's blocks a step reads, when the schedule is known, over all steps given.

    Each row is (selected, selected in the step before), boolean arrays over the blocks of one request. Dense attention
    selects all of them.
    """
    chosen = [bool(bit) for selected, _ in rows for bit in selected.tolist()]
    before = [bool(bit) for _, previous in rows for bit in previous.tolist()]
    return side_code_length(chosen, before, 2)
