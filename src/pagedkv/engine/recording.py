"""What the closed loop tells a recorder, if there is one."""

from __future__ import annotations

from collections.abc import Sequence

from pagedkv.engine.batch import Batch
from pagedkv.engine.requests import Request
from pagedkv.engine.scheduler import Scheduler
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event


class Recording:
    """Nothing happens where `recorder` is None. Steps are numbered as the memory counts them."""

    def __init__(self, recorder: Recorder | None, scheduler: Scheduler) -> None:
        self.recorder = recorder
        self.scheduler = scheduler
        self.kv = scheduler.kv
        self.memory = scheduler.kv.memory
        if recorder is not None:
            self.memory.tiers.on_seen = lambda job: recorder.transfer(job, self.memory.step)

    def event(self, time_s: float, kind: Event, request: Request, value: int = 0) -> None:
        if self.recorder is not None:
            self.recorder.event(self.memory.step, time_s, kind, request.number, value)

    def finish(self, request: Request) -> None:
        self.event(request.last_token_s, Event.FINISH, request)
        if self.recorder is not None:
            self.recorder.request(request)

    def batch(self, batch: Batch, steps: int) -> None:
        """While the step is computed, and before it is booked: what it reads follows from what had been computed."""
        recorder = self.recorder
        if recorder is None:
            return
        recorder.scheduled(self.memory.step, steps, batch.numbers, batch.ranks, batch.computed, batch.tokens)
        recorder.peak_live_blocks = max(recorder.peak_live_blocks, self.kv.live_blocks)
        pool = self.memory.tiers.pool
        recorder.largest_read_set = max(recorder.largest_read_set, pool.usable - pool.available)

    def times(
        self, batch: Batch, starts_s: Sequence[float], stall_s: float, computes_s: Sequence[float], idle_s: float
    ) -> None:
        """Steps that computed `batch`, the first one after `stall_s` and, before that, `idle_s` without work."""
        if self.recorder is None:
            return
        self.recorder.steps(
            self.memory.step,
            starts_s,
            stall_s,
            computes_s,
            idle_s,
            batch.work[0] - batch.decodes,
            batch.decodes,
            len(batch),
            len(self.scheduler.waiting),
        )
