"""Open loop: steps, read sets and compute times are the trace's; residency, transfers and stall are the policy's."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.address import Physical
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.pinned import PinnedSchedule
from pagedkv.engine.recorded import RecordedScheduler, Rotation
from pagedkv.engine.script import Script, StepEvents
from pagedkv.errors import PagedKVError
from pagedkv.eviction.min import Min
from pagedkv.eviction.plan_aware import PlanAware
from pagedkv.eviction.workload_aware import WorkloadAware

__all__ = ["Replay", "Rotation"]

NOTHING = StepEvents()
"""Events of a step at which nothing happens."""


class Replay:
    """Plays a script through a memory.

    Warm-up: the first `warmup_steps` steps fill the tiers and are cut from every count. `stalls` holds the stall
    before each step. With a `schedule` the device really computes each step, and none is skipped.
    """

    def __init__(
        self,
        script: Script,
        memory: StepMemory,
        rotation: Rotation,
        physical: Physical | None,
        schedule: PinnedSchedule | None = None,
    ) -> None:
        usable = memory.tiers.pool.usable
        if usable < script.largest_read_set:
            raise PagedKVError(
                f"capacity of {usable} blocks is below the largest read set of the trace ({script.largest_read_set}); "
                "a step would not fit"
            )
        self.script = script
        self.memory = memory
        self.physical = physical
        self.schedule = schedule
        self.stalls = np.zeros(script.steps)
        self.step = 0
        memory.tiers.states.new(script.contents)
        self.scheduler = RecordedScheduler(script, rotation, memory)
        memory.consultation.schedule = self.scheduler.view_fields
        eviction = memory.tiers.pool.eviction
        self._min = eviction if isinstance(eviction, Min) else None
        self._plan_aware = eviction if isinstance(eviction, PlanAware) else None
        self._workload_aware = eviction if isinstance(eviction, WorkloadAware) else None
        if self._min is not None:
            self._min.next_use = script.first_use.copy()

    def run(self, warmup_steps: int = 0) -> None:
        """Play all steps."""
        script, device = self.script, self.memory.tiers.device
        boundary_s = script.boundary_s
        while self.step < script.steps:
            if self.step == warmup_steps:
                self.memory.reset_counts()
            following = self._next_busy_step()
            if warmup_steps > self.step:
                following = min(following, warmup_steps)
            if following > self.step:
                device.advance_to(device.now_s + float(boundary_s[following] - boundary_s[self.step]))
                self.step = following
                continue
            self._play(self.step)
            self.step += 1

    def _next_busy_step(self) -> int:
        """The next step at which there is anything to do: this one, unless nothing happens and nothing is queued."""
        memory, script = self.memory, self.script
        if self.schedule is not None or not memory.issuer.idle or memory.tiers.loads:
            return self.step
        index = int(np.searchsorted(script.event_steps, self.step))
        following = int(script.event_steps[index]) if index < len(script.event_steps) else script.steps
        if memory.consultation.wake_step is not None:
            following = min(following, max(self.step, memory.consultation.wake_step))
        return min(following, script.steps)

    def _play(self, step: int) -> None:
        script, memory, scheduler = self.script, self.memory, self.scheduler
        events = script.events.get(step, NOTHING)
        idle, compute = float(script.idle_s[step]), float(script.compute_s[step])
        scheduler.begin(step)
        memory.begin(step)
        # Who ends an idle time arrives at its end; who is rotated out is told from who arrives by the batch.
        if idle == 0:
            scheduler.change_queue(events.queue, before_entries=True)
        for leave in events.leaves:
            scheduler.leave(leave, events)
            if self._workload_aware is not None:
                self._workload_aware.released(leave.contents, *scheduler.fate(leave.request, events))
            memory.leave(leave.request, leave.contents, leave.partial, leave.finished)
        self._replan()
        if idle > 0:
            scheduler.idling = True
            memory.idle(memory.tiers.device.now_s + idle)
            scheduler.idling = False
            scheduler.change_queue(events.queue, before_entries=True)
            self._replan()
        self._change_batch(step, events)
        scheduler.change_queue(events.queue, before_entries=False)
        memory.settle(compute)
        if self.schedule is not None:
            pinned = self.schedule.at(step)
            memory.tiers.device.launch(pinned)
            self.schedule.book(pinned)
        end = memory.compute_start_s + compute
        memory.run(end, end, events.filled)
        self.stalls[step], _ = memory.finish(compute)
        if self.schedule is not None:
            for number in self.schedule.finished_after(step):
                memory.tiers.device.leave(number)

    def _change_batch(self, step: int, events: StepEvents) -> None:
        """All requests of the step are pinned before any of them makes room: nothing that the step reads may leave."""
        memory = self.memory
        if self.physical is not None:
            self.physical.enter_step(step)
        for enter in events.enters:
            self.scheduler.enter(enter)
            memory.enter(enter.request, enter.contents, enter.partial)
            if self._min is not None:
                self._min.next_use[enter.contents] = enter.next_use
        for enter in events.enters:
            memory.reserve(enter.contents)
        if events is not NOTHING:
            memory.create(events.created)
        for contents in events.joined:
            memory.join(contents)

    def _replan(self) -> None:
        if self._plan_aware is not None and self.scheduler.queue_changed:
            self._plan_aware.replan(self.scheduler.nearest(self._plan_aware.requests))
            self.scheduler.queue_changed = False

    def table_of(self, request: int) -> np.ndarray:
        """Contents of a request's table, as `RecordedScheduler` knows it."""
        return self.scheduler.table_of(request)
