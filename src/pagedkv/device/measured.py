"""A device whose predictions are replaced by observations at every boundary.

Between two boundaries the engine plans with the calibrated model, as on the simulated device. At a boundary the clock
takes the time at which the step really ended, and transfers the times at which they really arrived. All observed times
are whole nanoseconds, so that they survive a trace file unchanged, and a run that is fed them decides the same
(`device/fed.py`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from pagedkv.device.link import Link
from pagedkv.device.simulated import SimulatedDevice

if TYPE_CHECKING:
    from pagedkv.device.base import Step
    from pagedkv.engine.transfers import Job


def nanoseconds(seconds: float) -> float:
    """`seconds` rounded to the nearest nanosecond, as the float that every such number of nanoseconds has."""
    return round(seconds * 1e9) / 1e9


class PlannedLink(Link):
    """What a real device expects of a link until it has looked: the other direction, if it is busy, stays so. That is a
    little too much, and observation corrects it at the next boundary."""

    def _beside(self, ready_s: np.ndarray) -> int:
        return len(ready_s)


class MeasuredDevice(SimulatedDevice):
    """Subclasses say what was observed: `arrived_s` of transfers, `step_times` of steps."""

    link = PlannedLink

    def arrived_s(self, job: Job) -> np.ndarray:
        """When each block of `job` arrived; NaN where that is not known to have happened."""
        raise NotImplementedError

    def step_times(self, start_s: float) -> tuple[float, float]:
        """(stall, compute) of the step launched last, which began at `start_s`. Waits for its end."""
        raise NotImplementedError

    def observe(self, loads: deque[Job], stores: deque[Job]) -> Iterable[Job]:
        changed: list[Job] = []
        for link, jobs in ((self.h2d, loads), (self.d2h, stores)):
            pending_s = self.now_s
            for job in jobs:
                arrived = self.arrived_s(job)
                # Transfers of a direction arrive in order.
                if not arrived[-1] <= self.now_s:
                    seen = arrived <= self.now_s
                    # Late by our reckoning: it comes any moment.
                    predicted = np.maximum(job.ready_s, math.nextafter(pending_s, math.inf))
                    arrived = np.where(seen, arrived, predicted)
                    pending_s = max(pending_s, float(predicted[-1]))
                job.ready_s[:] = arrived
                changed.append(job)
            link.free_at_s = pending_s if pending_s > self.now_s else min(link.free_at_s, self.now_s)
        return changed

    def waited_s(self, step: Step, stall_s: float, compute_s: float) -> float:
        return compute_s

    def wait_for(self, job: Job) -> None:
        self.now_s = max(self.now_s, self.first_arrival_s(job))

    def first_arrival_s(self, job: Job) -> float:
        """When the first block of `job` arrived. Waits for that."""
        raise NotImplementedError

    def finish_step(self, start_s: float, stall_s: float, compute_s: float) -> tuple[float, float]:
        stall_s, compute_s = self.step_times(start_s)
        self.now_s = start_s + stall_s + compute_s
        return stall_s, compute_s
