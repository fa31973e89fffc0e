"""Live requests: who waits, who runs, who waits for a load; how they come, go, and give way."""

from __future__ import annotations

import math
from collections import deque

from pagedkv.engine.kv import KvManager
from pagedkv.engine.requests import Request
from pagedkv.engine.settings import EngineSettings
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event, PlanDelta


class Queues:
    """Queues of live requests, and what a recorder is told of their changes."""

    def __init__(self, settings: EngineSettings, kv: KvManager, recorder: Recorder | None) -> None:
        self.settings = settings
        self.kv = kv
        self.recorder = recorder
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.loading: list[Request] = []
        self.preemptions = 0
        self.recomputed_tokens = 0
        self.load_delay_s = 0.0
        """D-async: time that requests waited for their own loads, or were passed over for their prefetches."""
        self.queue_version = 0
        """Changes whenever `waiting` does."""

    # ------------------------------------------------------------ requests come and go
    def arrive(self, request: Request, step: int, now_s: float) -> None:
        self._enqueue(request, step, now_s, front=False)

    def done(self, known_s: float) -> list[Request]:
        """Requests known at `known_s` to have produced their last token, in batch order."""
        return [request for request in self.running if request.produced >= request.output_tokens]

    def leave(self, request: Request, step: int) -> None:
        """`request`, which runs, loads or waits, is done, or its client gave it up."""
        if request not in self.running:
            self._plan(step, PlanDelta.LEAVE_QUEUE, request)
        for queue in (self.running, self.loading):
            if request in queue:
                queue.remove(request)
                self.kv.release(request, finished=True, keep_table=False)
                return
        self.waiting.remove(request)
        self.queue_version += 1
        self.kv.give_up(request)

    @property
    def live(self) -> int:
        return len(self.waiting) + len(self.running) + len(self.loading)

    # ------------------------------------------------------------ what is known (`late.LateScheduler`: less)
    def known_s(self, now_s: float) -> float:
        """What happened until then is known at the boundary at `now_s`."""
        return now_s

    def look(self, known_s: float) -> None:
        """A boundary begins."""

    def began(self, start_s: float) -> None:
        """The step just scheduled begins."""

    def catch_up(self) -> bool:
        """Nothing can be computed: wait for what is not known yet; False if all is."""
        return False

    # ------------------------------------------------------------ changes of state
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

    # ------------------------------------------------------------ checks
    def assert_consistency(self) -> None:
        """Every live request is in exactly one queue, and exactly the admitted ones hold blocks by reference."""
        everyone = [*self.waiting, *self.running, *self.loading]
        numbers = [request.number for request in everyone]
        assert len(set(numbers)) == len(numbers), "a request is in two queues"
        admitted = len(self.running) + len(self.loading)
        assert admitted <= self.settings.max_num_seqs, "too many requests are admitted"
        held: dict[int, int] = {}
        for request in [*self.running, *self.loading]:
            for content in request.contents.tolist():
                held[content] = held.get(content, 0) + 1
        references = self.kv.memory.tiers.states.references
        assert int(references.sum()) == sum(held.values()), "references and block tables disagree"
        assert all(references[content] == count for content, count in held.items()), "a block is counted wrongly"
