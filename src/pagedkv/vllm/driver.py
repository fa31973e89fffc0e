"""Runs vLLM's scheduler on a CPU: requests from a table, time from the simulated device, tokens from the workload.

Scheduler, KV cache manager, block pool and offloading connector are vLLM's own. What is made up: the model's answers
(the workload says what they are), how long a step takes, and how long copies take.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv.device.simulated import SimulatedDevice
from pagedkv.engine.aborts import Aborts
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.trace.recorder import Recorder
from pagedkv.vllm.build import Parts
from pagedkv.vllm.feed import Feed
from pagedkv.vllm.observer import Observer
from pagedkv.vllm.seen import Scheduled, Seen
from pagedkv.vllm.settings import VllmSettings
from pagedkv.vllm.shadow import Shadow
from pagedkv.vllm.worker import Worker
from pagedkv.workload.table import RequestTable


@dataclass(frozen=True)
class Launched:
    """What the scheduler put out; `produces`: requests that get a token; `scheduled`: None if nothing is computed;
    `idle`: nor is anything in flight."""

    output: Any
    produces: set[str]
    scheduled: Scheduled | None
    idle: bool


class Driver:
    """Serves a request table to the end. A request's name is its row.

    With asynchronous scheduling a step is scheduled when the one before it begins, without what that will produce.
    """

    def __init__(
        self,
        table: RequestTable,
        engine: EngineSettings,
        settings: VllmSettings,
        parts: Parts,
        device: SimulatedDevice,
        recorder: Recorder,
        aborts: Mapping[int, float],
        check: bool,
        tolerated: bool,
    ) -> None:
        self.engine, self.device = engine, device
        self.scheduler = parts.scheduler
        self.feed = Feed(table, engine, device.geometry.vocabulary, recorder)
        self.arrivals = self.feed.arrivals
        self.aborts = Aborts(aborts)
        self.shadow = Shadow(engine.pool_blocks, self.feed.tokens_of, tolerated) if check else None
        self.observer = Observer(self.scheduler, recorder, lambda: device.now_s, self.feed.identify)
        self.worker = None
        if settings.offload != "none":
            self.worker = Worker(parts, device, self.observer.moved, self.shadow)
        self._hasher = parts.hasher
        self._kept = 1 if settings.async_scheduling else 0
        """Steps that may be in flight while the next one is scheduled."""
        self._launched: deque[Launched] = deque()
        self._idle_at: tuple[float, int] | None = None

    # ------------------------------------------------------------ the loop
    def run(self, progress: Callable[[int], None] = lambda finished: None) -> None:
        """Serve everything; `progress` is told how many requests have finished."""
        while self.arrivals or self.scheduler.has_requests() or self._launched:
            finished = self.observer.finished
            self._arrive()
            self._abort()
            if self.scheduler.has_requests() or self._launched:
                self._step()
            elif self.arrivals:
                self.device.advance_to(self.arrivals.next_s)
            progress(self.observer.finished - finished)

    def _step(self) -> None:
        output = self._schedule()
        work = output.total_num_scheduled_tokens > 0
        produces = {name for name in output.num_scheduled_tokens if not self._request(name).is_prefill_chunk}
        idle = not work and not self._launched
        self._launched.append(Launched(output, produces, self.observer.coming if work else None, idle))
        while len(self._launched) > (self._kept if work else 0):
            self._run(self._launched.popleft())

    def _schedule(self) -> Any:
        try:
            return self.scheduler.schedule()
        except AssertionError as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(at.filename).name}:{at.lineno}, {at.name}"
            raise PagedKVError(
                f"vllm: it stopped at step {self.observer.step} by an assertion of its own ({where}): {at.line}"
            ) from error

    def _run(self, step: Launched) -> None:
        """The step begins when the one before it has ended; at its own end the scheduler gets its answer."""
        if self.worker is not None:
            stall_s = self.worker.begin(step.output)
            self.observer.stall_s += stall_s
        if step.scheduled is not None:
            self._compute(step.scheduled)
        elif step.idle:
            self._wait()
        connector = self.worker.end(step.output) if self.worker is not None else None
        self._answer(step.output, connector, step.produces)

    def _compute(self, step: Scheduled) -> None:
        device = self.device
        step.compute_s = device.compute_s(*step.work)
        if step.work[2] == 0:
            beside_s = min(step.compute_s, device.h2d.free_at_s - device.now_s)
            step.compute_s += device.calibration.slowed_s(beside_s)
        device.advance_to(device.now_s + step.compute_s)
        if self.shadow is not None:
            for seen, slots, computed, tokens in step.rows:
                self.shadow.step(seen.number, slots, computed, tokens)

    def _wait(self) -> None:
        """Nothing can be computed: until a copy is done, which is a stall, or a request arrives or is given up."""
        now = self.device.now_s
        copied_s = self.worker.next_s if self.worker is not None else float("inf")
        until = min(copied_s, self.arrivals.next_s, self.aborts.next_s)
        if until == float("inf"):
            # A request that finished may leave something to tell the connector; otherwise nobody will ever run.
            state = (now, self.observer.finished)
            if self.scheduler.get_num_unfinished_requests() and state == self._idle_at:
                raise PagedKVError(f"vllm: no request fits the pool of {self.engine.pool_blocks} blocks")
            self._idle_at = state
            return
        self.device.advance_to(until)
        if self.worker is not None and self.scheduler.get_num_unfinished_requests():
            self.observer.stall_s += self.device.now_s - now

    def _answer(self, output: Any, connector: Any, produces: set[str]) -> None:
        """What the model is made to say for one step."""
        from vllm.v1.outputs import ModelRunnerOutput

        names = list(output.num_scheduled_tokens)
        said = [self._said(name) if name in produces else [] for name in names]
        places = {name: place for place, name in enumerate(names)}
        result = ModelRunnerOutput(
            req_ids=names, req_id_to_index=places, sampled_token_ids=said, kv_connector_output=connector
        )
        for answer in self.scheduler.update_from_output(output, result).values():
            for each in answer.outputs:
                if each.finish_reason is not None:
                    self._finished(int(each.request_id))

    def _finished(self, row: int) -> None:
        self.arrivals.finished(row, self.device.now_s)
        if self.shadow is not None:
            self.shadow.leave(row)

    def _said(self, name: str) -> list[int]:
        request = self.scheduler.requests.get(name)
        return [] if request is None else [self.feed.next_token(request)]  # None: given up meanwhile

    def _request(self, name: str) -> Any:
        return self.scheduler.requests[name]

    # ------------------------------------------------------------ requests
    def _arrive(self) -> None:
        for seen, prompt in self.feed.due(self.device.now_s, lambda: self.observer.step):
            self.scheduler.add_request(self._vllm_request(seen, prompt))

    def _vllm_request(self, seen: Seen, prompt: list[int]) -> Any:
        from vllm.sampling_params import SamplingParams
        from vllm.v1.request import Request

        return Request(
            request_id=str(seen.number),
            prompt_token_ids=prompt,
            sampling_params=SamplingParams(max_tokens=seen.output_tokens, ignore_eos=True, temperature=0.0),
            pooling_params=None,
            arrival_time=seen.arrival_s,
            block_hasher=self._hasher,
        )

    def _abort(self) -> None:
        if not self.aborts:
            return
        from vllm.v1.request import RequestStatus

        live = {int(name): request for name, request in self.scheduler.requests.items() if not request.is_finished()}
        for row in self.aborts.due(self.device.now_s, live):
            self.scheduler.finish_requests(str(row), RequestStatus.FINISHED_ABORTED)
            self.arrivals.finished(row, self.device.now_s)
