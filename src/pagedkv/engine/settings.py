"""Settings of the engine, as `config.yaml` gives them for a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pagedkv.errors import PagedKVError

Settings = TypeVar("Settings")
PREEMPTION_MODES = ("swap", "recompute")


@dataclass(frozen=True)
class EngineSettings:
    """Names follow vLLM's where vLLM has the setting.

    - `pool_blocks`: GPU slots, the null block included.
    - `host_blocks`: blocks of host memory; None: as many as needed; 0: no host tier.
    - `max_num_seqs`, `max_num_batched_tokens`, `max_model_len`: limits of a step and of a request.
    - `preemption`: `recompute` (vLLM V1: computed tokens are forgotten) or `swap` (V0: the table is kept, blocks come
      back from the host).
    - `quantum_steps`: rotate the running set after so many steps while others wait, but not before each request of it
      has computed something new (what it lost meanwhile is computed again first); None: no rotation.
    - `prefix_cache`: look prompts up in the blocks of earlier requests.
    - `reserve_full_prompt`: admit a request only if its whole prompt fits (vLLM's default).
    """

    pool_blocks: int
    host_blocks: int | None = None
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 2048
    max_model_len: int = 131072
    preemption: str = "swap"
    quantum_steps: int | None = None
    prefix_cache: bool = True
    reserve_full_prompt: bool = True

    @staticmethod
    def from_config(section: dict[str, Any]) -> EngineSettings:
        settings = from_section(EngineSettings, section, "engine")
        if settings.preemption not in PREEMPTION_MODES:
            raise PagedKVError(f"preemption is one of {', '.join(PREEMPTION_MODES)}, not '{settings.preemption}'")
        return settings


def from_section(settings: type[Settings], section: Mapping[str, Any], kind: str) -> Settings:
    """A dataclass of settings from a section of the configuration; PagedKVError for a key that it does not have."""
    known = {field.name for field in fields(settings)}
    unknown = sorted(set(section) - known)
    if unknown:
        raise PagedKVError(f"{kind} setting '{unknown[0]}' is unknown; known are {', '.join(sorted(known))}")
    return settings(**section)
