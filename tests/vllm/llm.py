"""An `LLM` with vLLM's own scheduler and a model that says zeros, on a clock that the steps move."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pagedkv.device.simulated import SimulatedDevice
from pagedkv.engine.settings import EngineSettings
from pagedkv.vllm.build import build
from pagedkv.vllm.settings import VllmSettings
from pagedkv.vllm.worker import Worker
from tests.engine.build import TINY, calibration


class Engine:
    """The part of `vllm.v1.engine.llm_engine.LLMEngine` that a client uses. It adds to names, as that does."""

    def __init__(self, engine: EngineSettings, settings: VllmSettings, folder: Path) -> None:
        self.parts = build(TINY, engine, settings, folder)
        self.device = SimulatedDevice(calibration(block_s=2e-4), TINY)
        self.scheduler = self.parts.scheduler
        self.engine_core = SimpleNamespace(engine_core=SimpleNamespace(scheduler=self.scheduler))
        self.worker = None
        if settings.offload != "none":
            self.worker = Worker(self.parts, self.device, lambda job, start_s, ready_s: None, None)

    def add_request(self, name: str, prompt: dict[str, Any], parameters: Any) -> None:
        from vllm.v1.request import Request

        tokens, inner = prompt["prompt_token_ids"], f"{name}-0a1b2c3d"
        self.scheduler.add_request(Request(inner, tokens, parameters, None, block_hasher=self.parts.hasher))

    def has_unfinished_requests(self) -> bool:
        return self.scheduler.get_num_unfinished_requests() > 0

    def step(self) -> list[Any]:
        from vllm.v1.outputs import ModelRunnerOutput

        output = self.scheduler.schedule()
        if self.worker is not None:
            self.worker.begin(output)
        self._compute(output)
        names = list(output.num_scheduled_tokens)
        result = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: place for place, name in enumerate(names)},
            sampled_token_ids=[[] if self.scheduler.requests[name].is_prefill_chunk else [0] for name in names],
            kv_connector_output=None if self.worker is None else self.worker.end(output),
        )
        answers = self.scheduler.update_from_output(output, result).values()
        ended = [each.request_id for answer in answers for each in answer.outputs if each.finish_reason is not None]
        return [SimpleNamespace(request_id=name.rpartition("-")[0], finished=True) for name in ended]

    def _compute(self, output: Any) -> None:
        if output.total_num_scheduled_tokens:
            took_s = self.device.compute_s(output.total_num_scheduled_tokens, 0)
            self.device.advance_to(self.device.now_s + took_s)
        elif self.worker is not None:
            self.device.advance_to(self.worker.next_s)

    def wait(self, seconds: float) -> None:
        self.device.advance_to(self.device.now_s + seconds)


class Llm:
    def __init__(self, engine: EngineSettings, settings: VllmSettings, folder: Path) -> None:
        self.llm_engine = Engine(engine, settings, folder)
