"""Which blocks are on the GPU, as a page table would tell an operating system."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.view import Accesses, View

UNKNOWN, PRESENT, ABSENT = range(3)
_NOTHING = bytearray()


class Residency:
    """Follows accesses and feedback, for policies that look pages up (`feedback = True`).

    What was accessed or has arrived is present, what was evicted is absent. A block that was created on the GPU and
    never left it is never told of: an unknown address counts as present if a known one lies above it in the range that
    is looked at, and as nothing otherwise. A load of one's own that is under way is seen when it arrives, unless it
    was `expected`.
    """

    def __init__(self) -> None:
        self._state: dict[int, bytearray] = {}
        """Of each stream a byte an address: a search for the next absent one costs next to nothing."""

    def update(self, view: View) -> None:
        """Take in the feedback of a view. A block that came and went since the last view is taken to be gone."""
        self._set(view.arrived.stream, view.arrived.index, PRESENT)
        self._set(view.evicted.stream, view.evicted.index, ABSENT)

    def accessed(self, seen: Accesses) -> None:
        """Take in accesses: what was absent is on its way."""
        self._set(seen.stream, seen.index, PRESENT)

    def expected(self, stream: int, first: int, count: int) -> None:
        """[first, first + count) are on their way: present until the opposite is told."""
        if count == 1:
            self._column(stream, first)[first] = PRESENT
        elif count > 0:
            self._column(stream, first + count - 1)[first : first + count] = bytes((PRESENT,)) * count

    def holds(self, stream: int, index: int) -> bool:
        """Whether an address is known to be present."""
        column = self._state.get(stream, _NOTHING)
        return index < len(column) and column[index] == PRESENT

    def present(self, stream: int, first: int, count: int) -> np.ndarray:
        """Mask over [first, first + count), up to the highest address in it that is known. `first` is not negative."""
        return np.frombuffer(self._known(stream, first, count), np.uint8) != ABSENT

    def present_before(self, stream: int, index: int, most: int) -> int:
        """Present addresses in a row just before `index`, which is known, counted up to `most`."""
        first = max(0, index - most)
        absent = self._state.get(stream, _NOTHING).rfind(ABSENT, first, index)
        return index - (first if absent < 0 else absent + 1)

    def present_behind(self, stream: int, index: int, most: int) -> int:
        """Present addresses in a row from `index` on, counted up to `most`."""
        known = self._known(stream, index, most)
        absent = known.find(ABSENT)
        return len(known) if absent < 0 else absent

    def _known(self, stream: int, first: int, count: int) -> bytearray:
        """States of [first, first + count), up to the last one that is known."""
        return self._state.get(stream, _NOTHING)[first : first + count].rstrip(bytes((UNKNOWN,)))

    def _set(self, stream: np.ndarray, index: np.ndarray, state: int) -> None:
        if len(stream) == 0:
            return
        for one in np.unique(stream).tolist():
            of_it = index[stream == one]
            np.frombuffer(self._column(one, int(of_it.max())), np.uint8)[of_it] = state

    def _column(self, stream: int, index: int) -> bytearray:
        """The addresses of a stream, at least up to `index`."""
        column = self._state.setdefault(stream, bytearray())
        if index >= len(column):
            column.extend(bytes(max(1024, 2 * (index + 1)) - len(column)))
        return column
