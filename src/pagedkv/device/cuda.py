"""The device that does the work: a model that computes, pools that hold blocks, and two streams that move them.

Time is the host's clock at boundaries, at which the host waits for the step's tokens as every engine does. Between
them nothing waits on the host: compute waits for the loads that it reads, stores wait for the compute that writes,
loads wait for the compute that read what they replace, all by events on streams.

The same class runs on a CPU with plain memory, where every operation is over when the call returns; that proves the
path, and its times mean nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.device.base import Step
from pagedkv.device.calibration import Calibration
from pagedkv.device.copies import Copy, CopyStream
from pagedkv.device.hostslots import HostSlots
from pagedkv.device.lane import Lane
from pagedkv.device.measured import MeasuredDevice, nanoseconds
from pagedkv.device.timeline import Timeline
from pagedkv.engine.transfers import LOAD
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry

if TYPE_CHECKING:
    from pagedkv.device.trust import Trust
    from pagedkv.engine.blocks import BlockStates
    from pagedkv.engine.transfers import Job
    from pagedkv.model.runner import Runner


@dataclass(slots=True)
class _Flight:
    """One submission of a job, on its way."""

    copy: Copy
    arrived_s: np.ndarray
    """When each of its blocks arrived, a part of that of its job; NaN while it is not known to have."""
    not_before_s: float
    """It was not complete at this time."""


class CudaDevice(MeasuredDevice):
    """See the module. `calibration` only predicts what the issuer plans with until the next boundary."""

    def __init__(
        self,
        calibration: Calibration,
        geometry: Geometry,
        runner: Runner,
        copy_in: CopyStream,
        copy_out: CopyStream,
        host_slots: HostSlots,
        compute: Lane,
        timeline: Timeline,
        trust: Trust | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(calibration, geometry)
        self.origin = timeline.origin
        self.runner = runner
        self.host_times: list[tuple[float, float, float]] = []
        """Seconds of host work of each step: between boundary and launch, enqueuing it, and while the GPU computes."""
        self._copies = (copy_in, copy_out)
        self._host_slots = host_slots
        self._compute = compute
        self._timeline = timeline
        self._trust = trust
        self._clock_now = clock
        self._offset = -clock()
        self._flights: tuple[deque[_Flight], deque[_Flight]] = (deque(), deque())
        self._arrived: dict[int, np.ndarray] = {}
        """When each block of a job arrived."""
        self._load_of = np.full(0, -1, np.int64)
        """Content -> number of the load submission that brought it last."""
        self._loads = 0
        self._needed = -1
        self._read, self._written = compute.mark(), compute.mark()
        """End of the step that was over at the boundary; end of the newest step."""
        self._anchor = (compute.mark(), self._now())
        self._waited_s = 0.0
        self._boundary = self._now()

    def attach(self, states: BlockStates, slots: int) -> None:
        if slots > self.runner.slots:
            raise PagedKVError(f"the engine asks for {slots} pool_blocks of a machine that has {self.runner.slots}")
        self._states = states

    def _now(self) -> float:
        return self._clock_now() + self._offset

    # ------------------------------------------------------------ transfers
    def move(self, job: Job, quantum: int | None) -> None:
        slots = self._states.slot[job.contents]
        loads = job.direction == LOAD
        host = self._host_slots.of(job.contents) if loads else self._host_slots.take(job.contents)
        count, after = len(slots), self._read if loads else self._written
        arrived = self._arrived[job.number] = np.full(count, np.nan)
        for first in range(0, count, quantum or count):
            part = slice(first, first + (quantum or count))
            if self._trust is not None and not loads:
                self._trust.leaving(slots[part], host[part], after)
            copy = self._copies[job.direction].submit(slots[part], host[part], (after,), timed=False)
            if self._trust is not None and loads:
                self._trust.arrived(slots[part], host[part])
            self._flights[job.direction].append(_Flight(copy, arrived[part], self.now_s))
            if loads:
                self._load_of = fitted(self._load_of, int(job.contents.max()))
                self._load_of[job.contents[part]] = self._loads
                self._loads += 1

    def need(self, contents: np.ndarray) -> None:
        if len(contents):
            self._needed = max(self._needed, int(self._load_of[contents].max()))

    def observe(self, loads: deque[Job], stores: deque[Job]) -> Iterable[Job]:
        self._poll()
        if len(self._arrived) > len(loads) + len(stores):
            self._arrived = {job.number: self._arrived[job.number] for jobs in (loads, stores) for job in jobs}
        return super().observe(loads, stores)

    def arrived_s(self, job: Job) -> np.ndarray:
        # A job of which a part has arrived keeps the rest.
        arrived = self._arrived[job.number]
        return arrived[len(arrived) - len(job.contents) :]

    def _poll(self) -> None:
        """Note which submissions have completed; those of a direction complete in order."""
        for flights in self._flights:
            while flights and flights[0].copy.done():
                self._land(flights.popleft())
            for flight in flights:
                flight.not_before_s = self.now_s

    def _land(self, flight: _Flight) -> None:
        mark, at_s = self._anchor
        arrived = nanoseconds(at_s + self._timeline.between(mark, flight.copy.end))
        if not arrived > flight.not_before_s:
            arrived = nanoseconds(flight.not_before_s + 1e-9)
        flight.arrived_s[:] = arrived
        flight.copy.release()

    def first_arrival_s(self, job: Job) -> float:
        first = self.arrived_s(job)[0]
        if np.isnan(first):
            # Transfers of a direction complete in order, and this job heads its queue.
            flight = self._flights[job.direction].popleft()
            began = self._now()
            flight.copy.wait()
            self._waited_s += self._now() - began
            self._land(flight)
            first = flight.arrived_s[0]
        return float(first)

    def vacated(self, slots: np.ndarray) -> None:
        if self._trust is not None:
            self._trust.poison(slots)

    def discarded(self, contents: np.ndarray) -> None:
        self._host_slots.retire(contents)

    # ------------------------------------------------------------ steps
    def launch(self, step: Step) -> None:
        began, compute = self._now(), self._compute
        compute.recycle(self._anchor[0])
        self._anchor = (compute.mark(), began)
        self._fenced = self._fence()
        self._start = compute.mark() if self._fenced else None
        self.runner.run(step, self._states.slot)
        self._written = compute.mark()
        self._launched_s = self._now()
        self._enqueue_s = self._launched_s - began

    def _fence(self) -> bool:
        """Let compute wait for the loads that the step reads. Loads complete in order, so the last one is enough."""
        fenced = self._trust is not None and self._trust.fence()
        flying = self._flights[LOAD]
        behind = self._loads - 1 - self._needed
        if self._needed >= 0 and behind < len(flying):
            self._compute.after(flying[len(flying) - 1 - behind].copy.end)
            fenced = True
        self._needed = -1
        return fenced

    def step_times(self, start_s: float) -> tuple[float, float]:
        behind = self._now()
        self._written.synchronize()
        end = self._now()
        exposed = 0.0
        if self._fenced:
            exposed = self._timeline.between(self._anchor[0], self._start) - self._enqueue_s
            self._compute.recycle(self._start)
        stall = nanoseconds(self._waited_s + max(0.0, exposed))
        compute = max(1e-9, nanoseconds(end - start_s - stall))
        self._book_host(behind, end)
        self._compute.recycle(self._read)
        self._read = self._written
        self._waited_s = 0.0
        self._host_slots.free_retired()
        return stall, compute

    def _book_host(self, behind: float, end: float) -> None:
        decide = self._anchor[1] - self._boundary - self._waited_s
        self.host_times.append((decide, self._enqueue_s, behind - self._launched_s))
        self._boundary = end

    def idle_until(self, time_s: float) -> None:
        """Wait while anything is in flight; then the clock goes to `time_s` without waiting for it."""
        while any(self._flights) and self._now() < time_s:
            self._poll()
            time.sleep(20e-6)
        self._poll()
        self.advance_to(time_s)
        self._offset += self.now_s - self._now()
        self._boundary = self._now()

    def leave(self, number: int) -> None:
        self.runner.leave(number)

    # ------------------------------------------------------------ afterwards
    def evidence(self) -> dict[str, Any]:
        """What the run leaves behind besides a trace: host time a step, and in test mode what was verified."""
        times = np.array(self.host_times or [(0.0, 0.0, 0.0)]) * 1e6
        found = {"host_us_p50": float(np.median(times.sum(1))), "host_us_p99": float(np.percentile(times.sum(1), 99))}
        for name, part in zip(("decide", "launch", "behind"), np.median(times, axis=0).tolist(), strict=True):
            found[f"host_{name}_us_p50"] = part
        if self._trust is not None:
            found |= {"verified_blocks": self._trust.verified, "wrong_blocks": self._trust.wrong}
        return found
