"""Iteration-level scheduling: continuous batching with chunked prefill, preemption, rotation.

The rules are vLLM's V1 scheduler (FCFS): running requests first, in order; then waiting ones, unless this step
preempted; the victim is the last running request; the queue stops at the first request that does not fit.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from pagedkv.engine.batch import Batch
from pagedkv.engine.decode import Decode
from pagedkv.engine.kv import KvManager
from pagedkv.engine.plan import QueueState
from pagedkv.engine.queues import Queues
from pagedkv.engine.requests import Request
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event


class Scheduler(Queues):
    """The decision who runs next.

    `async_loads`: D-async; a request whose blocks are not all on the GPU is put aside until they are. If the prefetch
    policy has a `stop` rule, it never is: it is passed over while its prefetch goes on, then takes what has arrived.
    """

    def __init__(
        self, settings: EngineSettings, kv: KvManager, recorder: Recorder | None, async_loads: bool = False
    ) -> None:
        super().__init__(settings, kv, recorder)
        self.async_loads = async_loads
        self.stop = kv.memory.policy.stop if async_loads else None
        self.held_blocks = 0
        """Blocks that the requests miss that were passed over in the last step."""
        self.in_vain = False
        """The engine has waited for prefetches that do not go on: nobody is passed over."""
        self.preempted_now = False
        self._ranks = 0
        self._last, self._last_step = Batch.of([], []), 0
        self._rotated_step = 0

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
        budget = self._schedule_loaded(joining, budget, step, now_s)
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
        batch = self._going_on(step)
        if not self.kv.extend_together([(batch.requests[row], blocks) for row, blocks in batch.growing]):
            batch = self._make_room(batch, step, now_s)
        self._register(batch)
        return batch

    def _going_on(self, step: int) -> Batch:
        """What the running requests compute next, if there is room."""
        budget, last = self.settings.max_num_batched_tokens, self._last
        if last.goes_on and last.requests == self.running and len(last) <= budget:
            return Decode(last, step - self._last_step)
        last.settle()
        return Batch.within(self.running.copy(), budget)

    def _register(self, batch: Batch) -> None:
        if self.kv.sharing:
            for request, first, end in batch.filling:
                self.kv.register_filled(request, first * BLOCK_TOKENS, end * BLOCK_TOKENS)

    def _register_joining(self, request: Request, tokens: int) -> None:
        self.kv.register_filled(request, request.computed, request.computed + tokens)

    def _make_room(self, batch: Batch, step: int, now_s: float) -> Batch:
        """Give the requests of `batch` their blocks one by one; returns what is left of it."""
        batch.settle()
        # Victims are taken from the end of the running ones, of which the batch may leave some out.
        place = {id(request): place for place, request in enumerate(self.running)}
        places = [place[id(request)] for request in batch.requests]
        for row, _ in batch.growing:
            if places[row] < len(self.running):
                self._extend(batch.requests[row], batch.lists[1][row], step, now_s)
        return batch.first(bisect_left(places, len(self.running)))

    def _extend(self, request: Request, tokens: int, step: int, now_s: float) -> None:
        """Blocks for a running request, which may have to give way itself."""
        while not self.kv.extend(request, tokens):
            self.preempted_now = True
            victim = self.running.pop()
            self._preempt(victim, step, now_s)
            if victim is request:
                return

    def _schedule_loaded(self, joining: list[tuple[Request, int]], budget: int, step: int, now_s: float) -> int:
        """Requests whose loads are complete run before anybody new."""
        for request in [request for request in self.loading if request.ready_s <= now_s]:
            tokens = min(request.remaining, budget)
            if tokens == 0:
                break
            if not self.kv.extend(request, tokens):
                # Its admission gave it blocks for some tokens at least. It takes these, or all would wait for room.
                tokens = min(tokens, request.blocks * BLOCK_TOKENS - request.computed)
            self.loading.remove(request)
            self._run(request, tokens, step, now_s)
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
            if self.async_loads and not self.kv.all_resident(request):
                request.ready_s = self.kv.memory.load_apart()
                self.load_delay_s += request.ready_s - now_s
                self.loading.append(request)
                continue
            self._run(request, tokens, step, now_s)
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

    def _run(self, request: Request, tokens: int, step: int, now_s: float) -> None:
        """It joins the batch. To a trace it stood in the queue until now, also while its blocks came."""
        self._admitted(request, step, now_s)
        self._register_joining(request, tokens)
        request.rank = self._ranks
        self._ranks += 1
        self.running.append(request)
