"""What one run counts while it runs; `metric/` turns it into metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NEED_STEPS = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])
"""Edges of the histogram of steps between the issue of a prefetch and its use: 0, 1, 2-3, 4-7, ..., >= 256."""
USE_MS = np.array([0.0, 1.0, 4.0, 16.0, 64.0, 256.0])
"""Edges of the histogram of milliseconds from the arrival of a prefetch to its use: < 0 (late), < 1, ..., >= 256."""


@dataclass
class Counts:
    """Sums over the measured part of a run. Loads and prefetches are in blocks; a piece is 1/layers of a block."""

    demand_loads: float = 0.0
    useful: int = 0
    timely: int = 0
    late: int = 0
    same_step: int = 0
    cross_step: int = 0
    early: int = 0
    exposed_late_s: float = 0.0
    stall_s: float = 0.0
    decision_calls: int = 0
    entries: int = 0
    issue_to_need_steps: np.ndarray = field(default_factory=lambda: np.zeros(len(NEED_STEPS) + 1, np.int64))
    fill_to_use_ms: np.ndarray = field(default_factory=lambda: np.zeros(len(USE_MS) + 1, np.int64))

    def use(self, age_steps: np.ndarray, arrived_ago_s: np.ndarray) -> None:
        """Prefetched blocks were used for the first time: `age_steps` after their issue, `arrived_ago_s` after their
        arrival (negative: still in flight)."""
        late = arrived_ago_s < 0
        self.useful += len(age_steps)
        self.late += int(late.sum())
        self.timely += int((~late).sum())
        self.same_step += int((age_steps == 0).sum())
        self.cross_step += int((age_steps > 0).sum())
        np.add.at(self.issue_to_need_steps, np.searchsorted(NEED_STEPS, age_steps, side="right"), 1)
        np.add.at(self.fill_to_use_ms, np.searchsorted(USE_MS, 1e3 * arrived_ago_s, side="right"), 1)
