"""Traces that were recorded and are shipped under recorded/traces/: where they lie, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.vllm.settings import VllmSettings

FOLDER = Path("recorded/traces")


def path_of(scenario: str, folder: str | Path = FOLDER) -> Path:
    """Where the shipped trace of a scenario lies, if there is one."""
    return Path(folder) / f"{scenario}.kvtrace"


def difference(
    header: Mapping[str, Any],
    model: str,
    engine: Mapping[str, Any],
    workload: Mapping[str, Any],
    vllm: Mapping[str, Any] | None = None,
) -> str:
    """What a trace was recorded with that a scenario does not ask for, in words; empty where they agree.

    `model`, `engine`, `workload` and `vllm` are the scenario's settings, the seed among them. The requests themselves
    are compared: a generator is run for that; a public source is not, because its traces are not shipped.
    """
    if (vllm is None) != ("vllm" not in header):
        return "another engine"
    if vllm is not None and asdict(VllmSettings.from_config(vllm)) != header["vllm"]["settings"]:
        return "other settings of vLLM"
    if header.get("model") != asdict(geometry(model)):
        return f"another model than {model}"
    asked = asdict(EngineSettings.from_config(dict(engine)))
    # A trace from before a setting existed was recorded with its default.
    recorded = {**asdict(EngineSettings(pool_blocks=0)), **header.get("engine", {})}
    for key, value in asked.items():
        if recorded[key] != value:
            return f"engine.{key} {recorded[key]} instead of {value}"
    if "source" in workload or _requests(workload) != header.get("workload_sha256"):
        return "other requests"
    return ""


def _requests(workload: Mapping[str, Any]) -> str:
    from pagedkv.workload.registry import build

    return build(workload, data_dir="").digest
