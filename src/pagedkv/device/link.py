"""One direction of the host link: a FIFO server with a calibrated cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.device.calibration import CopyCost


@dataclass(frozen=True)
class Transfer:
    """Pieces that a link moves back to back. `ready_s[i]` is the time at which piece i has arrived."""

    start_s: float
    ready_s: np.ndarray

    @property
    def done_s(self) -> float:
        return float(self.ready_s[-1])


class Link:
    """Serves submissions in the order in which they are made.

    A submission of n pieces of m bytes takes `submit_s + n * each_s(m)`. Pieces that start while the other direction is
    known to be busy run at `contention` of the rate, which was measured with both directions saturated.
    """

    def __init__(self, cost: CopyCost, contention: float = 1.0) -> None:
        self.cost = cost
        self.contention = contention
        self.free_at_s = 0.0
        self.busy_s = 0.0
        self.bytes = 0
        self.opposite: Link | None = None
        self._each: dict[int, float] = {}

    def submit(self, now_s: float, pieces: int, piece_bytes: int, quantum: int | None = None) -> Transfer:
        """Move `pieces` pieces, in submissions of at most `quantum` pieces (None: one submission)."""
        start = max(now_s, self.free_at_s)
        number = np.arange(1, pieces + 1)
        submissions = 1 if quantum is None else -(-number // quantum)
        ready = start + submissions * self.cost.submit_s + number * self._each_s(piece_bytes)
        if self.opposite is not None and self.opposite.free_at_s > start:
            slower_s = (1.0 / self.contention - 1.0) * piece_bytes / self.cost.bytes_per_s
            ready = ready + slower_s * np.minimum(number, self._beside(ready + number * slower_s))
        self.free_at_s = float(ready[-1])
        self.busy_s += self.free_at_s - start
        self.bytes += pieces * piece_bytes
        return Transfer(start, ready)

    def _beside(self, ready_s: np.ndarray) -> int:
        """How many pieces start while the other direction is busy, if that goes on to slow them down."""
        return 1 + int(np.searchsorted(ready_s, self.opposite.free_at_s))

    def _each_s(self, piece_bytes: int) -> float:
        """Time that one more piece adds to a submission."""
        each = self._each.get(piece_bytes)
        if each is None:
            each = self._each[piece_bytes] = self.cost.each_s(piece_bytes)
        return each

    def busy_by(self, time_s: float) -> float:
        """Time for which the link has been busy until `time_s`, which lies behind the start of the last submission or
        in what is still to be moved."""
        return self.busy_s - max(0.0, self.free_at_s - time_s)
