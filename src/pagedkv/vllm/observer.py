"""Records a live vLLM scheduler, whoever runs it: our driver on a CPU, or an `LLM` on a GPU.

It wraps methods of the instances, and reads what the scheduler puts out; vLLM itself is not changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pagedkv.engine.transfers import LOAD, STORE
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event, PlanDelta
from pagedkv.vllm.contents import Contents
from pagedkv.vllm.seen import Scheduled, Seen
from pagedkv.vllm.transfer import Copy, Moved, copies_of


class Observer:
    """`clock` tells the time in seconds. `identify` makes the `Seen` of a vLLM request that arrives."""

    def __init__(
        self,
        scheduler: Any,
        recorder: Recorder,
        clock: Callable[[], float],
        identify: Callable[[Any], Seen],
    ) -> None:
        self.recorder = recorder
        self.step = 0
        """Number of the next step that computes anything."""
        self.preemptions = 0
        self.finished = 0
        self.aborts = 0
        self.observing_s = 0.0
        """What the observer has cost so far, which is part of the steps that it times."""
        self.stall_s = 0.0
        """Since the last step: time in which requests waited for copies and nothing was computed."""
        self._scheduler = scheduler
        self._pool = scheduler.kv_cache_manager.block_pool
        self.contents = Contents(self._pool.num_gpu_blocks)
        self._clock, self._identify = clock, identify
        self._live: dict[str, Seen] = {}
        self._numbers: dict[str, int] = {}
        """Of all requests: copies for one may outlive it."""
        self._scheduled: deque[Scheduled] = deque()
        self._moving: dict[int, Moved] = {}
        self._ranks = 0
        self._ended_s = self._busy_s = clock()
        """When the last step ended; since when there has been a request."""
        self._starved = False
        """Since the last step there were requests, and none of them could run."""
        self._attach()

    def _attach(self) -> None:
        scheduler = self._scheduler
        self.contents.attach(scheduler)
        add_request, finish_requests = scheduler.add_request, scheduler.finish_requests
        schedule, update = scheduler.schedule, scheduler.update_from_output

        def watched_add(request: Any) -> None:
            self._arrived(request)
            add_request(request)

        def watched_finish(names: Any, *arguments: Any, **named: Any) -> Any:
            names = names if names is None or isinstance(names, str) else list(names)
            given_up = [names] if isinstance(names, str) else list(self._live) if names is None else names
            for name in filter(self._live.__contains__, given_up):
                self._aborted(name)
            return finish_requests(names, *arguments, **named)

        def watched_schedule(*arguments: Any, **named: Any) -> Any:
            start_s = self._clock()
            output = schedule(*arguments, **named)
            with self._costing():
                self._on_schedule(output, start_s)
            return output

        def watched_update(output: Any, result: Any) -> Any:
            answers = update(output, result)
            with self._costing():
                self._on_update(output, result, answers)
            return answers

        scheduler.add_request, scheduler.finish_requests = watched_add, watched_finish
        scheduler.schedule, scheduler.update_from_output = watched_schedule, watched_update

    @contextmanager
    def _costing(self) -> Iterator[None]:
        began_s = self._clock()
        yield
        self.observing_s += self._clock() - began_s

    # ------------------------------------------------------------ requests
    def _arrived(self, request: Any) -> None:
        if not self._live:
            self._busy_s = self._clock()
        seen = self._live[request.request_id] = self._identify(request)
        self._numbers[request.request_id] = seen.number
        self.recorder.event(self.step, seen.arrival_s, Event.ARRIVAL, seen.number)
        self.recorder.plan(self.step, PlanDelta.QUEUE_BACK, seen.number)

    def _aborted(self, name: str) -> None:
        """The client of a request has given it up, of which the scheduler is told now."""
        seen = self._live.pop(name)
        self.aborts += 1
        if not seen.slots:
            self.recorder.plan(self.step, PlanDelta.LEAVE_QUEUE, seen.number)
        self.recorder.event(self.step, self._clock(), Event.ABORT, seen.number, seen.computed)

    def _finish(self, name: str, now_s: float) -> None:
        seen = self._live.pop(name)
        self.finished += 1
        self.recorder.event(self.step, now_s, Event.FINISH, seen.number)
        self.recorder.request(seen)

    # ------------------------------------------------------------ a step is scheduled
    def _on_schedule(self, output: Any, start_s: float) -> None:
        copies = list(copies_of(output))
        for name, copy in copies:
            if copy.direction == LOAD:
                self._moves(name, copy, self.contents.load, start_s)
        self._preempt(output.preempted_req_ids or (), start_s)
        self._evict(start_s)
        starts = self._tables(output, start_s)
        # What is stored may be what the step writes: vLLM's worker begins with it one step later.
        for name, copy in copies:
            if copy.direction == STORE:
                self._moves(name, copy, self.contents.store, start_s)
        if output.total_num_scheduled_tokens:
            self._reads(output, starts, start_s)
        else:
            self._starved |= bool(self._live)

    def _evict(self, now_s: float) -> None:
        for kind, name, content in self.contents.evictions():
            self.recorder.event(self.step, now_s, kind, self._numbers[name], content)

    def _moves(self, name: str, copy: Copy, move: Callable[..., np.ndarray], now_s: float) -> None:
        contents = move(copy.slots, copy.cpu_slots)
        kind = Event.LOAD if copy.direction == LOAD else Event.STORE
        self.recorder.event(self.step, now_s, kind, self._numbers[name], copy.job)
        self._moving[copy.job] = Moved(copy.job, copy.direction, contents, now_s, now_s, np.full(len(contents), now_s))

    def _preempt(self, names: Iterable[str], now_s: float) -> None:
        """The last one to give way stands in front of the queue."""
        if not names:
            return
        queued = [request.request_id for request in self._scheduler.waiting]
        for name in sorted(names, key=lambda name: -queued.index(name)):
            seen = self._live[name]
            self.preemptions += 1
            self.recorder.event(self.step, now_s, Event.PREEMPT, seen.number, seen.computed)
            self.recorder.plan(self.step, PlanDelta.QUEUE_FRONT, seen.number)
            seen.preempted, seen.slots, seen.computed = True, [], 0

    def _tables(self, output: Any, now_s: float) -> dict[str, int]:
        """Take in tables and their growth; returns the tokens computed before the step of each scheduled request."""
        starts, slots, joins = {}, {}, set()
        for new in output.scheduled_new_reqs:
            starts[new.req_id], slots[new.req_id] = new.num_computed_tokens, list(new.block_ids[0])
            joins.add(new.req_id)
        cached = output.scheduled_cached_reqs
        rows = zip(cached.req_ids, cached.new_block_ids, cached.num_computed_tokens, strict=True)
        for name, blocks, computed in rows:
            starts[name], slots[name] = computed, list(blocks[0]) if blocks else []
        joins |= set(cached.resumed_req_ids)
        # Both lists put requests that come back behind new ones; in the batch they stand in order of admission.
        for name in output.num_scheduled_tokens:
            if name in joins:
                self._admit(name, starts[name], slots[name], now_s)
            elif slots[name]:
                self._grow(self._live[name], slots[name])
        return starts

    def _admit(self, name: str, computed: int, slots: list[int], now_s: float) -> None:
        """A request joins the batch, for the first time or again."""
        seen = self._live[name]
        seen.rank, self._ranks = self._ranks, self._ranks + 1
        if seen.preempted:
            self.recorder.event(self.step, now_s, Event.RESUME, seen.number)
        else:
            seen.hit_tokens = computed
            self.recorder.event(self.step, now_s, Event.ADMIT, seen.number, computed)
        seen.preempted, seen.slots = False, []
        self.recorder.plan(self.step, PlanDelta.LEAVE_QUEUE, seen.number)
        self._grow(seen, slots)

    def _grow(self, seen: Seen, slots: list[int]) -> None:
        self.recorder.table(self.step, seen.number, len(seen.slots), self.contents.placed(slots), np.array(slots))
        seen.slots += slots

    def _reads(self, output: Any, starts: dict[str, int], start_s: float) -> None:
        batch = [self._live[name] for name in output.num_scheduled_tokens]
        tokens = list(output.num_scheduled_tokens.values())
        computed = [starts[name] for name in output.num_scheduled_tokens]
        rows = list(zip(batch, [seen.slots for seen in batch], computed, tokens, strict=True))
        columns = ([seen.number for seen in batch], [seen.rank for seen in batch], computed, tokens)
        self.recorder.scheduled(self.step, 1, *(np.array(column, np.int64) for column in columns))
        for seen, _, done, count in rows:
            seen.computed = done + count
        waited_s = start_s - max(self._ended_s, self._busy_s) if self._starved else 0.0
        self._starved = False
        self._scheduled.append(Scheduled(output, rows, len(self._scheduler.waiting), max(0.0, waited_s)))
        recorder, tables = self.recorder, sum(len(seen.slots) for seen in self._live.values())
        recorder.peak_live_blocks = max(recorder.peak_live_blocks, tables)
        used = self._pool.num_gpu_blocks - 1 - self._pool.get_num_free_blocks()
        recorder.largest_read_set = max(recorder.largest_read_set, used)
        self.step += 1

    @property
    def scheduler_class(self) -> str:
        return type(self._scheduler).__name__

    @property
    def coming(self) -> Scheduled:
        """The step that was scheduled last."""
        return self._scheduled[-1]

    # ------------------------------------------------------------ a step has ended
    def _on_update(self, output: Any, result: Any, answers: Any) -> None:
        now_s = self._clock()
        if self._scheduled and self._scheduled[0].output is output:
            self._end(self._scheduled.popleft(), now_s)
        connector = result.kv_connector_output
        if connector is not None and connector.kv_connector_worker_meta is not None:
            for job in sorted(connector.kv_connector_worker_meta.completed_jobs):
                self._arrive(job, now_s)
        for answer in answers.values():
            for each in answer.outputs:
                if each.finish_reason is not None:
                    self._finish(each.request_id, now_s)

    def _end(self, step: Scheduled, now_s: float) -> None:
        """A step starts when the one before it ends, or work arrives: what the host does in between is part of it."""
        stall_s, self.stall_s = self.stall_s, 0.0
        compute_s = step.compute_s
        if compute_s is None:
            stall_s = step.waited_s
            compute_s = now_s - max(self._ended_s, self._busy_s) - stall_s
        idle_s = max(0.0, now_s - compute_s - stall_s - self._ended_s)
        number = self.step - len(self._scheduled) - 1
        about = (step.work[0] - step.decodes, step.decodes, len(step.rows), step.waiting)
        # A step begins at its boundary, before what it waits for.
        self.recorder.steps(number, [self._ended_s + idle_s], stall_s, np.array([compute_s]), idle_s, *about)
        self._ended_s = now_s

    def moved(self, job: int, start_s: float, ready_s: np.ndarray) -> None:
        """Somebody who knows tells when a copy started, and when each of its blocks arrived."""
        self._moving[job].start_s, self._moving[job].ready_s = start_s, ready_s

    def _arrive(self, job: int, now_s: float) -> None:
        """The scheduler learns that a copy is complete."""
        moved = self._moving.pop(job)
        if moved.ready_s[-1] <= moved.issue_s:
            moved.ready_s = np.full(len(moved.contents), now_s)
        self.recorder.transfer(moved, self.step)
