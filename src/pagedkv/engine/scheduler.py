"""Iteration-level scheduling: continuous batching with chunked prefill, preemption, rotation.

The rules are vLLM's V1 scheduler (FCFS): running requests first, in order; then waiting ones, unless this step
preempted; the victim is the last running request; the queue stops at the first request that does not fit.
"""

from __future__ import annotations

import math
from collections import deque

from pagedkv.engine.batch import Batch
from pagedkv.engine.decode import Decode
from pagedkv.engine.kv import KvManager
from pagedkv.engine.plan import QueueState
from pagedkv.engine.requests import Request
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event, PlanDelta


class Scheduler:
    """Queues of live requests, and the decision who runs next.

    `async_loads`: D-async; a request whose blocks are not all on the GPU is put aside until they are. If the prefetch
    policy has a `stop` rule, it never is: it is passed over while its prefetch goes on, then takes what has arrived.
    """

    def __init__(
        self, settings: EngineSettings, kv: KvManager, recorder: Recorder | None, async_loads: bool = False
    ) -> None:
        self.settings = settings
        self.kv = kv
        self.recorder = recorder
        self.async_loads = async_loads
        self.stop = kv.memory.policy.stop if async_loads else None
        self.held_blocks = 0
        """Blocks that the requests miss that were passed over in the last step."""
        self.in_vain = False
        """The engine has waited for prefetches that do not go on: nobody is passed over."""
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.loading: list[Request] = []
        self.preemptions = 0
        self.recomputed_tokens = 0
        self.load_delay_s = 0.0
        """D-async: time that requests waited for their own loads, or were passed over for their prefetches."""
        self.preempted_now = False
        self.queue_version = 0
        """Changes whenever `waiting` does."""
        self._ranks = 0
        self._last, self._last_step = Batch.of([], []), 0
        self._rotated_step = 0

    # ------------------------------------------------------------ requests come and go
    def arrive(self, request: Request, step: int, now_s: float) -> None:
        self._enqueue(request, step, now_s, front=False)

    def finish(self, request: Request) -> None:
        self.running.remove(request)
        self.kv.release(request, finished=True, keep_table=False)

    def abort(self, request: Request, step: int) -> None:
        """Its client gave `request` up, which runs, loads or waits."""
        if request in self.waiting:
            self.waiting.remove(request)
            self.queue_version += 1
            self._plan(step, PlanDelta.LEAVE_QUEUE, request)
            self.kv.give_up(request)
            return
        (self.running if request in self.running else self.loading).remove(request)
        self.kv.release(request, finished=True, keep_table=False)

    @property
    def live(self) -> int:
        return len(self.waiting) + len(self.running) + len(self.loading)

    def queue_state(self, step: int) -> QueueState:
        quantum, left = self.settings.quantum_steps, None
        if quantum is not None:
            left = max(0, self._rotated_step + quantum - step)
        waiting = [request.number for request in self.waiting]
        return QueueState(step, waiting, self.settings.max_num_seqs, quantum, left)

    # ------------------------------------------------------------ a step
    def schedule(self, step: int, now_s: float) -> Batch:
        """Decide the batch of `step`. Allocates blocks, preempts and admits; the memory learns of each."""
        self.held_blocks = 0
        self._rotate(step, now_s)
        self.preempted_now = False
        batch = self._schedule_running(step, now_s)
        if self.loading or (self.waiting and not self.preempted_now):
            batch = self._schedule_others(batch, step, now_s)
        self._last, self._last_step = batch, step
        return batch

    def _schedule_others(self, batch: Batch, step: int, now_s: float) -> Batch:
        joining: list[tuple[Request, int]] = []
        budget = self.settings.max_num_batched_tokens - batch.work[0]
        budget = self._schedule_loaded(joining, budget, now_s)
        if not self.preempted_now:
            self._schedule_waiting(joining, budget, step, now_s)
        return batch + Batch.of(*map(list, zip(*joining, strict=True))) if joining else batch

    def _rotate(self, step: int, now_s: float) -> None:
        quantum = self.settings.quantum_steps
        if quantum is None or step - self._rotated_step < quantum:
            return
        self._last.settle()
        # With little host memory, blocks that are lost at each turn could take all of the next one to compute again.
        if any(request.computed <= request.reached for request in self.running):
            return
        self._rotated_step = step
        if not self.waiting:
            return
        leaving, self.running = self.running, []
        for request in leaving:
            self._event(step, now_s, Event.ROTATE, request, request.computed)
            request.pause()
            self.kv.release(request, finished=False, keep_table=True)
            self._enqueue(request, step, now_s, front=False)

    def _schedule_running(self, step: int, now_s: float) -> Batch:
        """Running requests go on, in order. Where their new blocks find no room, the last ones make it."""
        running, budget, last = self.running, self.settings.max_num_batched_tokens, self._last
        if last.goes_on and last.requests == running and len(last) <= budget:
            batch = Decode(last, step - self._last_step)
        else:
            last.settle()
            batch = Batch.within(running.copy(), budget)
        if not self.kv.extend_together([(running[row], blocks) for row, blocks in batch.growing]):
            batch.settle()
            for row, _ in batch.growing:
                if row < len(running):
                    self._extend(running[row], batch.lists[1][row], step, now_s)
            batch = batch.first(len(running))
        if self.kv.sharing:
            for request, first, end in batch.filling:
                self.kv.register_filled(request, first * BLOCK_TOKENS, end * BLOCK_TOKENS)
        return batch

    def _extend(self, request: Request, tokens: int, step: int, now_s: float) -> None:
        """Blocks for a running request, which may have to give way itself."""
        while not self.kv.extend(request, tokens):
            self.preempted_now = True
            victim = self.running.pop()
            self._preempt(victim, step, now_s)
            if victim is request:
                return

    def _schedule_loaded(self, joining: list[tuple[Request, int]], budget: int, now_s: float) -> int:
        """Requests whose loads are complete run before anybody new."""
        for request in [request for request in self.loading if request.ready_s <= now_s]:
            tokens = min(request.remaining, budget)
            if tokens == 0:
                break
            if not self.kv.extend(request, tokens):
                # Its admission gave it blocks for some tokens at least. It takes these, or all would wait for room.
                tokens = min(tokens, request.blocks * BLOCK_TOKENS - request.computed)
            self.loading.remove(request)
            self._run(request, tokens)
            joining.append((request, tokens))
            budget -= tokens
        return budget

    def _schedule_waiting(self, joining: list[tuple[Request, int]], budget: int, step: int, now_s: float) -> None:
        passed_over = 0
        while len(self.waiting) > passed_over and budget > 0 and self._has_place():
            request = self.waiting[passed_over]
            if self.stop is not None and self._held(request, now_s):
                passed_over += 1
                continue
            tokens = self.kv.admit(request, budget, arrived_only=self.stop is not None)
            if tokens == 0:
                return
            del self.waiting[passed_over]
            self.queue_version += 1
            self._admitted(request, step, now_s)
            if self.async_loads and not self.kv.all_resident(request):
                request.ready_s = self.kv.memory.load_apart()
                self.load_delay_s += request.ready_s - now_s
                self.loading.append(request)
                continue
            self._run(request, tokens)
            joining.append((request, tokens))
            budget -= tokens

    def _has_place(self) -> bool:
        return len(self.running) + len(self.loading) < self.settings.max_num_seqs

    def _held(self, request: Request, now_s: float) -> bool:
        """Whether the request's prefetch is under way and goes on."""
        missing, memory = self.kv.missing(request), self.kv.memory
        if len(missing) == 0 or self.in_vain:
            return False
        under_way = memory.tiers.states.loading[missing].any() or memory.issuer.asked_for(request.number)
        if not under_way or self.stop(now_s - request.queued_s, BLOCK_TOKENS * len(self.kv.reusable(request))):
            return False
        self.held_blocks += len(missing)
        if math.isnan(request.held_s):
            request.held_s = now_s
        return True

    def _run(self, request: Request, tokens: int) -> None:
        self.kv.register_filled(request, request.computed, request.computed + tokens)
        request.rank = self._ranks
        self._ranks += 1
        self.running.append(request)

    def _admitted(self, request: Request, step: int, now_s: float) -> None:
        if not math.isnan(request.held_s):
            self.load_delay_s += now_s - request.held_s
        if request.preempted:
            self.recomputed_tokens += max(0, request.progress - request.computed)
            self._event(step, now_s, Event.RESUME, request)
        else:
            request.hit_tokens = request.computed
            self._event(step, now_s, Event.ADMIT, request, request.computed)
        request.preempted = False
        self._plan(step, PlanDelta.LEAVE_QUEUE, request)

    def _preempt(self, victim: Request, step: int, now_s: float) -> None:
        self.preemptions += 1
        self._event(step, now_s, Event.PREEMPT, victim, victim.computed)
        victim.pause()
        self.kv.release(victim, finished=False, keep_table=self.settings.preemption == "swap")
        self._enqueue(victim, step, now_s, front=True)

    def _enqueue(self, request: Request, step: int, now_s: float, front: bool) -> None:
        request.preempted = request.rank >= 0
        request.queued_s, request.held_s = now_s, math.nan
        self.queue_version += 1
        (self.waiting.appendleft if front else self.waiting.append)(request)
        self._plan(step, PlanDelta.QUEUE_FRONT if front else PlanDelta.QUEUE_BACK, request)

    def _plan(self, step: int, kind: PlanDelta, request: Request) -> None:
        if self.recorder is not None:
            self.recorder.plan(step, kind, request.number)

    def _event(self, step: int, now_s: float, kind: Event, request: Request, value: int = 0) -> None:
        if self.recorder is not None:
            self.recorder.event(step, now_s, kind, request.number, value)
