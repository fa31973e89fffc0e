"""Which blocks are on the GPU, as a page table would tell an operating system."""

from __future__ import annotations

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.view import Accesses, View

UNKNOWN, PRESENT, ABSENT = range(3)


class Residency:
    """Follows accesses and feedback, for policies that look pages up (`feedback = True`).

    What was accessed or has arrived is present, what was evicted is absent. A block that was created on the GPU and
    never left it is never told of: an unknown address counts as present if a known one lies above it in the range that
    is looked at, and as nothing otherwise. A load of one's own that is under way is seen when it arrives, unless it
    was `expected`.
    """

    def __init__(self) -> None:
        self._state: dict[int, np.ndarray] = {}

    def update(self, view: View) -> None:
        """Take in the feedback of a view. A block that came and went since the last view is taken to be gone."""
        self._set(view.arrived.stream, view.arrived.index, PRESENT)
        self._set(view.evicted.stream, view.evicted.index, ABSENT)

    def accessed(self, seen: Accesses) -> None:
        """Take in accesses: what was absent is on its way."""
        self._set(seen.stream, seen.index, PRESENT)

    def expected(self, stream: int, first: int, count: int) -> None:
        """[first, first + count) are on their way: present until the opposite is told."""
        if count > 0:
            self._column(stream, first + count - 1)[first : first + count] = PRESENT

    def holds(self, stream: int, index: int) -> bool:
        """Whether an address is known to be present."""
        column = self._state.get(stream)
        return column is not None and index < len(column) and column[index] == PRESENT

    def present(self, stream: int, first: int, count: int) -> np.ndarray:
        """Mask over [first, first + count), up to the highest address in it that is known. `first` is not negative."""
        states = self._state.get(stream, np.zeros(0, np.int8))[first : first + count]
        known = np.flatnonzero(states)
        return states[: int(known[-1]) + 1 if len(known) else 0] != ABSENT

    def _set(self, stream: np.ndarray, index: np.ndarray, state: int) -> None:
        if len(stream) == 0:
            return
        for one in np.unique(stream).tolist():
            of_it = index[stream == one]
            self._column(one, int(of_it.max()))[of_it] = state

    def _column(self, stream: int, index: int) -> np.ndarray:
        """The addresses of a stream, at least up to `index`."""
        column = self._state.get(stream, np.zeros(0, np.int8))
        self._state[stream] = fitted(column, index, UNKNOWN)
        return self._state[stream]
