"""What the scheduler of a recorded run knew at each boundary, and what a policy may ask it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pagedkv.engine.address import LOGICAL, slot_runs
from pagedkv.engine.ladder import Level
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.min_schedule import MinStay, min_schedule
from pagedkv.engine.pauses import PausedSessions
from pagedkv.engine.plan import Lengths, QueueState, Room, plan_fields
from pagedkv.engine.script import Enter, Leave, Script, StepEvents
from pagedkv.engine.tables import EntryTables, RunningTables
from pagedkv.engine.view import Pause, Planned
from pagedkv.eviction.workload_aware import Fate
from pagedkv.geometry import BLOCK_TOKENS
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


class RecordedScheduler:
    """Follows a script step by step, as `Replay` plays it, and answers for the scheduler that made it."""

    def __init__(self, script: Script, rotation: Rotation, memory: StepMemory) -> None:
        self.script = script
        self.rotation = rotation
        self.memory = memory
        self.step = 0
        self.idling = False
        """The engine stands before the step's idle time: who enters at this step is still to come."""
        self.queue_changed = True
        self._level = memory.consultation.level
        self._waiting: deque[int] = deque()
        self._batch: dict[int, None] = {}
        self._rotated_step = 0
        self._tables = EntryTables(script)
        self._running = RunningTables(script)
        self._paused = PausedSessions(memory.tiers.states)
        self._lengths = Lengths()
        self._reached: dict[int, int] = {}
        """The most tokens that each request had computed when it left the batch."""
        self._entry_steps = [step for step, _, _ in script.entries]

    # ------------------------------------------------------------ what happens
    def begin(self, step: int) -> None:
        self.step = self._tables.step = step

    def change_queue(self, deltas: list[tuple[int, int]], before_entries: bool) -> None:
        """Arrivals, preemptions and rotations join the queue before the step's entries leave it."""
        rotated = False
        for kind, request in deltas:
            if before_entries == (kind == PlanDelta.LEAVE_QUEUE):
                continue
            self.queue_changed = True
            if kind == PlanDelta.LEAVE_QUEUE:
                self._waiting.remove(request)
                continue
            self.memory.queue_grew()
            if kind == PlanDelta.QUEUE_FRONT:
                self._waiting.appendleft(request)
            else:
                self._waiting.append(request)
                self._paused.end(request)
                rotated |= request in self._batch
        if rotated:
            self._rotated_step = self.step

    def leave(self, leave: Leave, events: StepEvents) -> None:
        """A request leaves the batch, for good if it is among those that finished."""
        request = leave.request
        self._batch.pop(request, None)
        self._tables.leave(request)
        if self._level < Level.I4:
            return
        if request in events.finished:
            self._finish(leave)
        else:
            computed = sum(self.script.tokens_at(request, self.step - 1))
            self._reached[request] = max(self._reached.get(request, 0), computed)

    def _finish(self, leave: Leave) -> None:
        turn = self.script.turns.get(leave.request)
        if turn is None:
            return
        self._lengths.finished(turn.output_tokens)
        if turn.following is None or self._has_arrived(turn.following):
            return
        pause = Pause(turn.session, turn.following, self.memory.began_s)
        self._paused.begin(pause, leave.contents[: len(leave.contents) - len(leave.partial)])

    def fate(self, request: int, events: StepEvents) -> tuple[Fate, int]:
        """What is said of a request that leaves the batch, and the number of its turn."""
        turn = self.script.turns.get(request)
        number = 0 if turn is None else turn.number
        if request not in events.finished:
            return Fate.QUEUED, number
        return Fate.DONE if turn is None or turn.following is None else Fate.PAUSED, number

    def _has_arrived(self, request: int) -> bool:
        """At a boundary with idle time before it, who arrives at its end has not."""
        arrival = self.script.turns[request].arrival_step
        return arrival is not None and (arrival < self.step or request in self._waiting)

    def enter(self, enter: Enter) -> None:
        self._batch[enter.request] = None
        self._tables.enter(enter.request)

    # ------------------------------------------------------------ what is known
    def nearest(self, requests: int) -> list[np.ndarray]:
        """Contents that the first `requests` of the queue will read."""
        return [self._tables.contents(request) for request in islice(self._waiting, requests)]

    def table_of(self, request: int) -> np.ndarray:
        """Contents of the request's table now; of one outside the batch, those it will start with and that exist.

        What a paused session's next turn will start with is known to those alone who know the future.
        """
        if self._level < Level.I5 and request in self._paused:
            return self._paused.contents(request)
        return self._tables.contents(request)

    def view_fields(self) -> dict[str, object]:
        """The fields of a view that come from the schedule, up to the policy's level."""
        level = self._level
        fields: dict[str, object] = {"step": self.step}
        if level >= Level.I2:
            fields["reads"] = self._reads()
        if level >= Level.I3:
            fields["batch"] = tuple(self._batch)
        if level >= Level.I4:
            fields |= plan_fields(self._queue_state(), self._blocks_of, self._room, self._paused.listed())
        if level >= Level.I5:
            fields |= {"true_plan": self._true_plan, "returns_s": self._returns_s()}
        if level >= Level.I6:
            fields |= {"future": self._future, "min_schedule": self._min_schedule}
        return fields

    def _reads(self) -> tuple[tuple[int, int, int], ...]:
        """Under slots the runs may cross requests: nothing tells where one ends."""
        step, script, space = self.step, self.script, self.memory.space
        blocks = [(request, script.blocks_read(request, step)) for request in self._batch]
        if space.name == LOGICAL:
            return tuple((request, 0, count) for request, count in blocks)
        read = [self._running.contents(request, step, count) for request, count in blocks]
        return slot_runs(space.locate(np.concatenate(read))[1]) if read else ()

    def _queue_state(self) -> QueueState:
        quantum = self.rotation.quantum_steps
        left = None if quantum is None else max(0, self._rotated_step + quantum - self.step)
        return QueueState(self.step, tuple(self._waiting), self.rotation.batch_size, quantum, left)

    def _blocks_of(self, request: int) -> int:
        return len(self.table_of(request))

    def _room(self) -> Room:
        """The recorded pool's: what is held there is held here as well, whatever the capacity."""
        pool = self.memory.tiers.pool
        held = pool.usable - pool.available
        return Room(
            self.rotation.batch_size - len(self._batch), self.script.pool_blocks - 1 - held, self._ends(), self._need
        )

    def _need(self, request: int) -> int:
        """Blocks of all tokens that are known of a queued request."""
        return -(-max(self._prompt(request), self._reached.get(request, 0) + 1) // BLOCK_TOKENS)

    def _prompt(self, request: int) -> int:
        turn = self.script.turns.get(request)
        return 0 if turn is None else turn.prompt_tokens

    def _ends(self) -> Iterator[tuple[int, int]]:
        """(step, blocks) at which running requests are predicted to have ended, and give their blocks up."""
        for request in self._batch:
            computed = max(self._reached.get(request, 0), self.script.tokens_at(request, self.step)[0])
            rest = self._lengths.rest(max(0, computed - self._prompt(request) + 1))
            if rest is not None:
                yield self.step + rest, self.script.blocks_read(request, self.step)

    def _returns_s(self) -> dict[int, float]:
        """{session: time at which its next turn arrives} if nothing stalls until then; inf if not in this script."""
        script, step = self.script, self.step
        now_s = self.memory.tiers.device.now_s
        # The clock stands before the step's idle time, or behind it and the stall.
        passed_s = script.boundary_s[step] + (0.0 if self.idling else script.idle_s[step])
        returns = {}
        for pause in self._paused.listed():
            arrival = script.turns[pause.request].arrival_step
            arrives_s = math.inf if arrival is None else script.boundary_s[arrival] + script.idle_s[arrival]
            returns[pause.session] = now_s + float(arrives_s - passed_s)
        return returns

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
        index = bisect_left(self._entry_steps, self.step + (not self.idling))
        last = min(len(self._entry_steps), index + SEARCHED_ENTRIES)
        while index < last and len(coming) < most:
            step, request, contents = self.script.entries[index]
            if step > last_step:
                break
            if request not in self._batch and request not in coming:
                coming[request] = Planned(step, request, len(contents))
            index += 1
        return list(coming.values())

    def _min_schedule(self) -> list[MinStay]:
        return min_schedule(self.script, self.memory.tiers.pool.usable)
