"""Closed loop: the scheduler runs on the request table, and time comes from the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pagedkv.engine.aborts import NO_ABORTS, Aborts
from pagedkv.engine.arrivals import Arrivals
from pagedkv.engine.batch import Batch
from pagedkv.engine.kv import KvManager
from pagedkv.engine.ladder import Level
from pagedkv.engine.late import LateScheduler
from pagedkv.engine.leap import leap
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.outlook import Outlook
from pagedkv.engine.recording import Recording
from pagedkv.engine.scheduler import Scheduler
from pagedkv.engine.served import Served
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.eviction.plan_aware import PlanAware
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event
from pagedkv.workload.table import RequestTable


class ServeLoop:
    """Serves a request table to the end.

    `on_step` is called after every boundary (tests check consistency there); `leaping=False` takes every step by
    itself, which must give the same result. `aborts`: row of a request -> time at which its client gives it up.
    `async_scheduling`: a step is scheduled when the one before it begins, by a `LateScheduler`.
    """

    def __init__(
        self,
        table: RequestTable,
        settings: EngineSettings,
        memory: StepMemory,
        recorder: Recorder | None = None,
        async_loads: bool = False,
        leaping: bool = True,
        on_step: Callable[[ServeLoop], None] | None = None,
        aborts: Mapping[int, float] = NO_ABORTS,
        async_scheduling: bool = False,
    ) -> None:
        self.table = table
        self.settings = settings
        self.memory = memory
        self.device = memory.tiers.device
        self.kv = KvManager(memory, settings, recorder)
        scheduler = LateScheduler if async_scheduling else Scheduler
        self.scheduler = scheduler(settings, self.kv, recorder, async_loads)
        self.outlook = Outlook(self.scheduler, self.kv)
        self.recording = Recording(recorder, self.scheduler)
        self.served = Served()
        self.step = 0
        self.leaping = leaping and not async_scheduling
        self._on_step = on_step
        self.arrivals = Arrivals(table, own_keys=settings.preemption == "recompute")
        self.aborts = Aborts(aborts)
        self.kv.goes_on = self.arrivals.goes_on
        self._idle_s = 0.0
        memory.consultation.schedule = self.outlook.view_fields
        self._planner = _planner(memory)
        self._planned_queue = -1

    # ------------------------------------------------------------ the loop
    def run(self, progress: Callable[[int], None] = lambda finished: None) -> Served:
        """Serve everything; `progress` is told how many requests have finished."""
        while self.arrivals or self.scheduler.live:
            finished = len(self.served.completion_s)
            self.memory.begin(self.step)
            known_s = self.scheduler.known_s(self.device.now_s)
            self.scheduler.look(known_s)
            self._finish_done(known_s)
            if self._arrive(known_s) and self.scheduler.stop is not None:
                self.memory.ask_policy()  # a prefetch starts before the scheduler looks at the request
            self._abort(known_s)
            self._replan()
            self.outlook.batch = batch = self.scheduler.schedule(self.step, self.device.now_s)
            self.scheduler.in_vain = False
            if len(batch):
                self._compute(batch)
            elif not self.scheduler.catch_up():
                self._wait()
            if self._on_step is not None:
                self._on_step(self)
            progress(len(self.served.completion_s) - finished)
        self.served.elapsed_s = self.device.now_s
        self.served.steps = self.step
        return self.served

    def _compute(self, batch: Batch) -> None:
        # The boundary, not the clock: making room for the batch may have waited for transfers, which is stall.
        memory, device, start = self.memory, self.device, self.memory.began_s
        compute_s = device.compute_s(*batch.work)
        first_stall = memory.settle(compute_s)
        if first_stall > 0:
            compute_s = device.waited_s(batch, first_stall, compute_s)
        steps = leap(self, batch, start + first_stall, compute_s) if self._may_leap(batch) else None
        if steps is None:
            device.launch(batch)
            self.scheduler.began(start)
            end = start + first_stall + compute_s
            memory.run(end, end, batch.filled)
            self.recording.batch(batch, 1)
            stall_s, compute_s = memory.finish(compute_s)
            self.recording.times(batch, [start], stall_s, [compute_s], self._idle_s)
            self.served.book(batch, start, [start + stall_s + compute_s])
            self.served.compute_s += compute_s
            self.step += 1
        else:
            starts, computes = steps
            self.recording.batch(batch, len(computes))
            self.recording.times(batch, np.concatenate([[start], starts[1:]]), first_stall, computes, self._idle_s)
            self.served.book(batch, start, starts + computes)
            self.served.compute_s += float(computes.sum())
            self.step += len(computes)
        self._idle_s = 0.0

    def _may_leap(self, batch: Batch) -> bool:
        """Only lengths change until the next arrival or finish: decode only, and nothing for the memory to do."""
        return (
            self.leaping
            and self.memory.policy.name == "none"
            and self.memory.tiers.pool.eviction.leaps
            and not self.scheduler.loading
            and (not self.scheduler.waiting or len(self.scheduler.running) == self.settings.max_num_seqs)
            and batch.decodes == len(batch) == len(self.scheduler.running)
        )

    def _wait(self) -> None:
        """Nothing can be computed: wait for a load (a stall) or for the next arrival (idle)."""
        now = self.device.now_s
        loads = [request.ready_s for request in self.scheduler.loading]
        if loads:
            self.memory.idle(max(now, min(*loads, self.arrivals.next_s)))
            self.memory.counts.stall_s += self.device.now_s - now
        elif self.scheduler.preempted_now:
            return  # the last running request gave way to itself; the next attempt finds its room free
        elif self.scheduler.held_blocks:
            self._wait_for_prefetch(self.scheduler.held_blocks)
            self.memory.counts.stall_s += self.device.now_s - now
        elif self.scheduler.waiting and not self.scheduler.running:
            if not self.memory.tiers.wait_for_a_transfer():
                raise PagedKVError(
                    f"no request fits the pool of {self.settings.pool_blocks} blocks at step {self.step}"
                )
            self.memory.counts.stall_s += self.device.now_s - now
        elif self.arrivals:
            self.memory.idle(max(now, self.arrivals.next_s))
            self._idle_s += self.device.now_s - now

    def _wait_for_prefetch(self, blocks: int) -> None:
        """For the time of a submission at most, after which the stop rule is asked again."""
        memory, tiers = self.memory, self.memory.tiers
        blocks, issued = min(blocks, memory.issuer.settings.quantum_blocks), memory.issuer.counts.issued
        quiet = not tiers.loads and not tiers.stores
        memory.idle(min(self.device.now_s + blocks * self.device.block_load_s, self.arrivals.next_s))
        self.scheduler.in_vain = quiet and memory.issuer.counts.issued == issued

    # ------------------------------------------------------------ requests
    def _arrive(self, known_s: float) -> bool:
        """Queue what has arrived by `known_s`; whether anything has."""
        queued = len(self.scheduler.waiting)
        while self.arrivals.next_s <= known_s:
            request = self.arrivals.pop()
            self.outlook.end_pause(request.number)
            tokens = request.prompt_tokens + request.output_tokens
            if tokens > self.settings.max_model_len or -(-tokens // BLOCK_TOKENS) > self.memory.tiers.pool.usable:
                # Too long: it and the rest of its session are not served.
                self.served.dropped += self.arrivals.drop_session(request.number)
                self.recording.event(request.arrival_s, Event.DROP, request, tokens)
                continue
            self.outlook.arrive(request)
            self.recording.event(request.arrival_s, Event.ARRIVAL, request)
            self.scheduler.arrive(request, self.step, known_s)
            self.memory.queue_grew()
        return len(self.scheduler.waiting) > queued

    def _finish_done(self, known_s: float) -> None:
        batch = self.outlook.batch
        if not batch.may_finish:
            return
        batch.settle()
        for request in self.scheduler.done(known_s):
            self.outlook.finish(request, self.arrivals.following(request.number, request.last_token_s))
            self.scheduler.leave(request, self.step)
            self.served.finish(request)
            self.arrivals.finished(request.number, request.last_token_s)
            self.recording.finish(request)
            self.device.leave(request.number)

    def _abort(self, known_s: float) -> None:
        """Requests that their clients gave up disappear; to their sessions that is as if they had finished."""
        for number in self.aborts.due(known_s, self.outlook.live):
            self.outlook.batch.settle()
            request = self.outlook.live.pop(number)
            self.recording.event(known_s, Event.ABORT, request, request.computed)
            self.scheduler.leave(request, self.step)
            self.served.aborted += 1
            self.arrivals.finished(number, known_s)
            self.device.leave(number)

    def _replan(self) -> None:
        """Tell a plan-aware eviction policy what the queue will read, when the queue changed."""
        if self._planner is not None and self._planned_queue != self.scheduler.queue_version:
            self._planned_queue = self.scheduler.queue_version
            self._planner.replan(self.outlook.nearest(self._planner.requests))

    # ------------------------------------------------------------ queries
    def table_of(self, number: int) -> np.ndarray:
        """Contents of a request's table, as `Outlook` knows it."""
        return self.outlook.table_of(number)

    def assert_consistency(self) -> None:
        self.memory.tiers.assert_consistency()
        self.scheduler.assert_consistency()


def _planner(memory: StepMemory) -> PlanAware | None:
    """The eviction policy, if it reads the plan. Policies that read the future cannot run in a closed loop."""
    eviction = memory.tiers.pool.eviction
    for policy in (memory.policy, eviction):
        if policy.level > Level.I4:
            raise PagedKVError(
                f"{policy.name} is of level {policy.level}: a closed loop has no future to show; use replay"
            )
    return eviction if isinstance(eviction, PlanAware) else None
