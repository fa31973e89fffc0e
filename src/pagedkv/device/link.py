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

    A submission of n pieces of m bytes takes `submit_s + n * each_s(m)`. While the other direction is busy at its
    start, a submission runs at `contention` of the rate (measured with both directions saturated; charging the whole
    submission is a simplification that the report states).
    """

    def __init__(self, cost: CopyCost, contention: float = 1.0) -> None:
        self.cost = cost
        self.contention = contention
        self.free_at_s = 0.0
        self.busy_s = 0.0
        self.bytes = 0
        self.opposite: Link | None = None
        self._each_s: dict[int, float] = {}

    def each_s(self, piece_bytes: int, start_s: float) -> float:
        """Time that one piece adds to a submission that starts at `start_s`."""
        each = self._each_s.get(piece_bytes)
        if each is None:
            each = self._each_s[piece_bytes] = self.cost.each_s(piece_bytes)
        if self.opposite is not None and self.opposite.free_at_s > start_s:
            each += (1.0 / self.contention - 1.0) * piece_bytes / self.cost.bytes_per_s
        return each

    def submit(self, now_s: float, pieces: int, piece_bytes: int, quantum: int | None = None) -> Transfer:
        """Move `pieces` pieces, in submissions of at most `quantum` pieces (None: one submission)."""
        start = max(now_s, self.free_at_s)
        each = self.each_s(piece_bytes, start)
        number = np.arange(1, pieces + 1)
        submissions = 1 if quantum is None else -(-number // quantum)
        ready = start + submissions * self.cost.submit_s + number * each
        self.free_at_s = float(ready[-1])
        self.busy_s += self.free_at_s - start
        self.bytes += pieces * piece_bytes
        return Transfer(start, ready)
