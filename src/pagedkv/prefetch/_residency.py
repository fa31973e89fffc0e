"""Which blocks are on the GPU, as a page table would tell an operating system."""

from __future__ import annotations

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.view import Accesses, View


class Residency:
    """Follows accesses and feedback, for policies that look pages up (`feedback = True`).

    What was accessed or has arrived is present, what was evicted is absent. An address of which nothing was told, but
    below one that is known, holds a block that was created on the GPU and never left it: present. An address above all
    that are known is absent. A load of one's own that is under way is seen when it arrives, unless it was `expected`.
    """

    def __init__(self) -> None:
        self._present: dict[int, np.ndarray] = {}
        self._end: dict[int, int] = {}

    def update(self, view: View) -> None:
        """Take in the feedback of a view. A block that came and went since the last view is taken to be gone."""
        self._set(view.arrived.stream, view.arrived.index, True)
        self._set(view.evicted.stream, view.evicted.index, False)

    def accessed(self, seen: Accesses) -> None:
        """Take in accesses: what was absent is on its way."""
        self._set(seen.stream, seen.index, True)

    def expected(self, stream: int, first: int, count: int) -> None:
        """[first, first + count) are on their way: present until the opposite is told."""
        if count > 0:
            self._column(stream, first + count - 1)[first : first + count] = True

    def end(self, stream: int) -> int:
        """One past the highest address that is known."""
        return self._end.get(stream, 0)

    def mask(self, stream: int, first: int, count: int) -> np.ndarray:
        """Which of [first, first + count) are present. `first` is not negative."""
        known = self._present.get(stream)
        found = np.zeros(count, bool)
        last = min(first + count, self.end(stream))
        if known is not None and last > first:
            found[: last - first] = known[first:last]
        return found

    def present(self, stream: int, index: int) -> bool:
        return 0 <= index < self.end(stream) and bool(self._present[stream][index])

    def _set(self, stream: np.ndarray, index: np.ndarray, value: bool) -> None:
        if len(stream) == 0:
            return
        for one in np.unique(stream).tolist():
            of_it = index[stream == one]
            self._column(one, int(of_it.max()))[of_it] = value

    def _column(self, stream: int, index: int) -> np.ndarray:
        """The addresses of a stream, at least up to `index`, which is known from now on."""
        column = fitted(self._present.get(stream, np.zeros(0, bool)), index, True)
        self._present[stream] = column
        self._end[stream] = max(self.end(stream), index + 1)
        return column
