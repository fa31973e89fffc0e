"""Open loop: steps, read sets and compute times are the trace's; residency, transfers and stall are the policy's."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pagedkv.engine.address import Physical
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.pinned import PinnedSchedule
from pagedkv.engine.plan import QueueState, stay_plan
from pagedkv.engine.script import Enter, Script
from pagedkv.engine.view import Planned
from pagedkv.errors import PagedKVError
from pagedkv.eviction.min import Min
from pagedkv.eviction.plan_aware import PlanAware
from pagedkv.trace.schema import PlanDelta

MOST_ENTRIES = 256
"""Entries that a plan without horizon lists; the link serves far fewer before the plan is made anew."""

SEARCHED_ENTRIES = 1024
"""Entries that are searched for them: with few requests alive, most entries repeat one that is listed."""


@dataclass(frozen=True)
class Rotation:
    """Batch size and quantum of the recorded scheduler; `quantum_steps` None: no rotation."""

    batch_size: int
    quantum_steps: int | None


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
        self.rotation = rotation
        self.physical = physical
        self.schedule = schedule
        self.stalls = np.zeros(script.steps)
        self.step = 0
        self._waiting: deque[int] = deque()
        self._rotated_step = 0
        self._first_coming = 0
        """Entries from this step on are still to come: the step at hand included, as long as the engine idles."""
        self._batch: dict[int, None] = {}
        self._entry_steps = [step for step, _, _ in script.entries]
        self._tables = _Tables(script)
        self._queue_changed = True
        memory.tiers.states.new(script.contents)
        memory.schedule = self._view_fields
        eviction = memory.tiers.pool.eviction
        self._min = eviction if isinstance(eviction, Min) else None
        self._plan_aware = eviction if isinstance(eviction, PlanAware) else None
        if self._min is not None:
            self._min.next_use = script.first_use.copy()

    def run(self, warmup_steps: int = 0) -> None:
        """Play all steps."""
        script, device = self.script, self.memory.tiers.device
        # Time from the start of a step's compute to the boundary behind its idle time, as prefix sums for skipping.
        spans = np.concatenate([[0.0], np.cumsum(script.compute_s + script.idle_s)])
        while self.step < script.steps:
            if self.step == warmup_steps:
                self.memory.reset_counts()
            following = self._next_busy_step()
            if warmup_steps > self.step:
                following = min(following, warmup_steps)
            if following > self.step:
                device.advance_to(device.now_s + float(spans[following] - spans[self.step]))
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
        if memory.wake_step is not None:
            following = min(following, max(self.step, memory.wake_step))
        return min(following, script.steps)

    def _play(self, step: int) -> None:
        script, memory = self.script, self.memory
        events = script.events.get(step)
        idle, compute = float(script.idle_s[step]), float(script.compute_s[step])
        if self._min is not None:
            self._min.now_step = step
        self._tables.step = step
        memory.begin(step)
        if events is not None:
            # Who ends an idle time arrives at its end; who is rotated out is told from who arrives by the batch.
            if idle == 0:
                self._change_queue(events.queue, before_entries=True)
            for leave in events.leaves:
                self._batch.pop(leave.request, None)
                self._tables.leave(leave.request)
                memory.leave(leave.contents, leave.partial, leave.finished)
            self._replan()
        if idle > 0:
            self._first_coming = step
            memory.idle(memory.tiers.device.now_s + idle)
            if events is not None:
                self._change_queue(events.queue, before_entries=True)
                self._replan()
        self._first_coming = step + 1
        filled = np.zeros(0, np.int64)
        if events is not None:
            if self.physical is not None:
                self.physical.map(*events.mapped)
            self._enter(events.enters)
            memory.create(events.created)
            for contents in events.joined:
                memory.tiers.pin(contents)
            filled = events.filled
            self._change_queue(events.queue, before_entries=False)
        memory.settle(compute)
        if self.schedule is not None:
            pinned = self.schedule.at(step)
            memory.tiers.device.launch(pinned)
            self.schedule.book(pinned)
        end = memory.compute_start_s + compute
        memory.run(end, end, filled)
        self.stalls[step], _ = memory.finish(compute)
        if self.schedule is not None:
            for number in self.schedule.finished_after(step):
                memory.tiers.device.leave(number)

    def _enter(self, enters: list[Enter]) -> None:
        """All requests of the step are pinned before any of them makes room: nothing that the step reads may leave."""
        for enter in enters:
            self._batch[enter.request] = None
            self._tables.enter(enter.request)
            self.memory.enter(enter.request, enter.contents, enter.partial)
            if self._min is not None:
                self._min.next_use[enter.contents] = enter.next_use
        for enter in enters:
            self.memory.reserve(enter.contents)

    # ------------------------------------------------------------ what the scheduler knew
    def _change_queue(self, deltas: list[tuple[int, int]], before_entries: bool) -> None:
        """Arrivals, preemptions and rotations join the queue before the step's entries leave it."""
        rotated = False
        for kind, request in deltas:
            if before_entries == (kind == PlanDelta.LEAVE_QUEUE):
                continue
            self._queue_changed = True
            if kind == PlanDelta.LEAVE_QUEUE:
                self._waiting.remove(request)
            elif kind == PlanDelta.QUEUE_FRONT:
                self._waiting.appendleft(request)
            else:
                self._waiting.append(request)
                rotated |= request in self._batch
        if rotated:
            self._rotated_step = self.step

    def _replan(self) -> None:
        if self._plan_aware is not None and self._queue_changed:
            nearest = islice(self._waiting, self._plan_aware.requests)
            self._plan_aware.replan([self._tables.contents(request) for request in nearest])
            self._queue_changed = False

    def _view_fields(self) -> dict[str, object]:
        quantum = self.rotation.quantum_steps
        left = None if quantum is None else max(0, self._rotated_step + quantum - self.step)
        state = QueueState(self.step, tuple(self._waiting), self.rotation.batch_size, quantum, left)
        tables, batch = self._tables, tuple(self._batch)
        return {
            "step": self.step,
            "batch": batch,
            "reads": tuple((request, 0, self.script.blocks_read(request, self.step)) for request in batch),
            "queue": state.waiting,
            "quantum_left": left,
            "plan": lambda horizon: stay_plan(state, horizon, lambda request: len(tables.contents(request))),
            "true_plan": self._true_plan,
            "future": self._future,
        }

    def _true_plan(self, horizon: int | None) -> list[Planned]:
        """Entries of the next `horizon` steps as they really happen, arrivals included."""
        limit = self.script.steps if horizon is None else self.step + horizon
        return self._coming(limit, MOST_ENTRIES)

    def _future(self, entries: int) -> list[Planned]:
        """The next `entries` entries of the whole trace."""
        return self._coming(self.script.steps, entries)

    def _coming(self, last_step: int, most: int) -> list[Planned]:
        """Next entry of each request that is not in the batch, until `last_step`; at most `most` of them."""
        coming: dict[int, Planned] = {}
        index = bisect_left(self._entry_steps, self._first_coming)
        last = min(len(self._entry_steps), index + SEARCHED_ENTRIES)
        while index < last and len(coming) < most:
            step, request, contents = self.script.entries[index]
            if step > last_step:
                break
            if request not in self._batch and request not in coming:
                coming[request] = Planned(step, request, len(contents))
            index += 1
        return list(coming.values())

    def table_of(self, request: int) -> np.ndarray:
        """Contents of the request's table now; of one outside the batch, those it will start with and that exist."""
        return self._tables.contents(request)


class _Tables:
    """What each request reads, as far as it exists: the current stay in the batch, or the next one."""

    def __init__(self, script: Script) -> None:
        self._created_step = script.created_step
        self._entries: dict[int, list[tuple[int, np.ndarray]]] = {}
        for step, request, contents in script.entries:
            self._entries.setdefault(request, []).append((step, contents))
        self._index: dict[int, int] = {}
        self.step = 0
        """Step at whose boundary the engine stands."""

    def enter(self, request: int) -> None:
        self._index.setdefault(request, 0)

    def leave(self, request: int) -> None:
        self._index[request] = self._index.get(request, 0) + 1

    def contents(self, request: int) -> np.ndarray:
        entries = self._entries.get(request, ())
        index = self._index.get(request, 0)
        if index >= len(entries):
            return np.zeros(0, np.int64)
        contents = entries[index][1]
        exist = self._created_step[contents] < self.step
        return contents if exist.all() else contents[exist]
