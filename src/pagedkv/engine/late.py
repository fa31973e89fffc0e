"""vLLM's asynchronous scheduling: a step is scheduled when the one before it begins."""

from __future__ import annotations

from typing import Any

from pagedkv.engine.batch import Batch
from pagedkv.engine.kv import KvManager
from pagedkv.engine.requests import Request
from pagedkv.engine.scheduler import Scheduler
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError


class LateScheduler(Scheduler):
    """Knows all but what the step in flight will have done.

    Lengths are given, so it knows how far each request will be, but not what it will have said. Whoever produces its
    last token is therefore seen to have finished a step later, as is who arrives or gives up; and a block can be found
    by others once its tokens are known. Where nothing can be computed, the step in flight is waited for.

    Raises PagedKVError where the engine is to do what vLLM's scheduler does not, or has a host tier.
    """

    def __init__(self, settings: EngineSettings, kv: KvManager, *arguments: Any) -> None:
        super().__init__(settings, kv, *arguments)
        if kv.memory.tiers.host is not None or settings.preemption != "recompute" or settings.quantum_steps is not None:
            raise PagedKVError("asynchronous scheduling needs host_blocks 0, preemption recompute and no quantum_steps")
        self._in_flight_s: float | None = None
        """When the step in flight began; None where there is none."""

    # ------------------------------------------------------------ what is known
    def known_s(self, now_s: float) -> float:
        return now_s if self._in_flight_s is None else self._in_flight_s

    def look(self, known_s: float) -> None:
        for request in self.running:
            request.in_flight = request.last_token_s > known_s
            self.kv.register_known(request, request.computed - request.in_flight)

    def began(self, start_s: float) -> None:
        self._in_flight_s = start_s

    def catch_up(self) -> bool:
        behind, self._in_flight_s = self._in_flight_s is not None, None
        return behind

    def done(self, known_s: float) -> list[Request]:
        """One of them may have been preempted before that was known."""
        preempted = [request for request in self.waiting if request.rank >= 0]
        found = [r for r in self.running + preempted if r.produced >= r.output_tokens and r.last_token_s <= known_s]
        return sorted(found, key=lambda request: request.rank)

    # ------------------------------------------------------------ a step
    def _going_on(self, step: int) -> Batch:
        """Those whose last token is in flight keep their places and their blocks, and have nothing to compute."""
        unfinished = [request for request in self.running if request.produced < request.output_tokens]
        return Batch.within(unfinished, self.settings.max_num_batched_tokens)

    def _register(self, batch: Batch) -> None:
        for request, done, tokens in zip(batch.requests, *batch.lists[:2], strict=True):
            self.kv.register_known(request, done + tokens)

    def _register_joining(self, request: Request, tokens: int) -> None:
        request.cached = request.computed
        self.kv.register_known(request, request.computed + tokens)
