"""Settings of vLLM that our engine has no counterpart of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagedkv.engine.settings import EngineSettings, from_section
from pagedkv.errors import PagedKVError

OFFLOADS = ("none", "lru", "arc")


@dataclass(frozen=True)
class VllmSettings:
    """The section `vllm` of a scenario; names follow vLLM's.

    - `async_scheduling`: schedule a step while the one before it runs (a server's default).
    - `offload`: `none`, or the eviction policy of the native CPU tier, which then has `host_blocks` of the engine.
    - `offload_prompt_only`: blocks of outputs are not offloaded (vLLM's default).
    - `store_threshold`: look-ups of a block before it is offloaded; 0: at once (vLLM's default).
    """

    async_scheduling: bool = False
    offload: str = "none"
    offload_prompt_only: bool = True
    store_threshold: int = 0

    @staticmethod
    def from_config(section: Mapping[str, Any]) -> VllmSettings:
        settings = from_section(VllmSettings, section, "vllm")
        if settings.offload not in OFFLOADS:
            raise PagedKVError(f"vllm: offload is one of {', '.join(OFFLOADS)}, not '{settings.offload}'")
        return settings


def check_engine(engine: EngineSettings, settings: VllmSettings) -> None:
    """PagedKVError if vLLM cannot do what `engine` says."""
    if engine.quantum_steps is not None:
        raise PagedKVError("vllm: it does not rotate requests; leave quantum_steps out")
    if engine.preemption != "recompute":
        raise PagedKVError("vllm: a preempted request is recomputed; say preemption: recompute")
    if settings.offload != "none" and not engine.host_blocks:
        raise PagedKVError("vllm: offload needs a number of host_blocks")
