"""A device that repeats what a trace says: recorded step times, and the times at which transfers were seen to arrive.

The engine's decisions depend on time only through this device. Fed the times of a run on a GPU, the engine has to take
the same decisions and move the same bytes; the fidelity check asserts that, exactly (design section 10, conformance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.device.measured import MeasuredDevice
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry
from pagedkv.trace.schema import Trace

if TYPE_CHECKING:
    from pagedkv.engine.transfers import Job


class FedDevice(MeasuredDevice):
    """Raises PagedKVError as soon as the engine asks for a step or a transfer that the trace does not have."""

    origin = "fed"

    def __init__(self, calibration: Calibration, geometry: Geometry, trace: Trace, link_scale: float = 1.0) -> None:
        super().__init__(calibration, geometry, link_scale)
        self._stall_s = _seconds(trace.steps["stall_us"])
        self._compute_s = _seconds(trace.steps["compute_us"])
        self._arrived = _arrivals(trace)
        self._step = 0

    def step_times(self, start_s: float) -> tuple[float, float]:
        if self._step == len(self._compute_s):
            raise PagedKVError(f"the fed run takes more than the {self._step} steps of the trace: it decides otherwise")
        self._step += 1
        return float(self._stall_s[self._step - 1]), float(self._compute_s[self._step - 1])

    def move(self, job: Job, quantum: int | None) -> None:
        recorded = self._arrived.get(job.number, np.zeros(0))
        absent = len(job.contents) - len(recorded)
        if absent < 0:
            raise PagedKVError(f"transfer {job.number} has {len(job.contents)} blocks, recorded were {len(recorded)}")
        # What the recorded run did not see arrive before it ended stays in flight.
        self._arrived[job.number] = np.concatenate([recorded, np.full(absent, np.nan)])

    def arrived_s(self, job: Job) -> np.ndarray:
        # A job of which a part has arrived keeps the rest.
        arrived = self._arrived[job.number]
        return arrived[len(arrived) - len(job.contents) :]

    def first_arrival_s(self, job: Job) -> float:
        first = float(self.arrived_s(job)[0])
        if np.isnan(first):
            raise PagedKVError(f"the fed run waits for transfer {job.number}, which the trace never saw arrive")
        return first


def _seconds(microseconds: np.ndarray) -> np.ndarray:
    """The exact nanosecond times that were recorded."""
    return np.round(microseconds * 1e3) / 1e9


def _arrivals(trace: Trace) -> dict[int, np.ndarray]:
    """Job -> arrival of each of its blocks, in the order in which they travelled."""
    rows = trace.transfers
    arrived: dict[int, list[np.ndarray]] = {}
    for job, blocks, done in zip(rows["job"].tolist(), rows["blocks"].tolist(), _seconds(rows["done_us"]), strict=True):
        arrived.setdefault(job, []).append(np.full(blocks, done))
    return {job: np.concatenate(parts) for job, parts in arrived.items()}
