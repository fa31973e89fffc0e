"""Records vLLM serving a request table, as a trace of the project's own form."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import pagedkv
from pagedkv.device.calibration import Calibration
from pagedkv.device.simulated import SimulatedDevice
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Trace
from pagedkv.vllm.build import build
from pagedkv.vllm.driver import Driver, tokens_of
from pagedkv.vllm.found import REFERENCE, TRIED
from pagedkv.vllm.settings import VllmSettings
from pagedkv.vllm.shadow import Shadow
from pagedkv.workload.table import RequestTable


def record_vllm(
    table: RequestTable,
    scenario: str,
    engine: EngineSettings,
    geometry: Geometry,
    calibration: Calibration,
    seed: int,
    settings: VllmSettings,
    progress: Callable[[int], None] = lambda finished: None,
    *,
    aborts: Mapping[int, float] = MappingProxyType({}),
    check: bool = True,
    tolerated: bool = False,
) -> Trace:
    """The trace of vLLM's scheduler on a CPU, with the calibrated time of steps and copies.

    `check`: a shadow of every slot verifies each read; wrong ones are errors unless they are `tolerated`, and then
    counted in the header. Raises PagedKVError where vLLM is missing, cannot do what `engine` says, or reads what it
    should not.
    """
    device = SimulatedDevice(calibration, geometry)
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        parts = build(geometry, engine, settings, Path(folder))
    shadow = Shadow(engine.pool_blocks, tokens_of(table, geometry), tolerated) if check else None
    driver = Driver(table, engine, settings, parts, device, recorder, aborts, shadow)
    driver.run(progress)
    header = {
        "origin": "vllm-cpu",
        "scenario": scenario,
        "model": asdict(geometry),
        "block_bytes": geometry.block_bytes,
        "block_tokens": BLOCK_TOKENS,
        "pool_blocks": engine.pool_blocks,
        "host_blocks": engine.host_blocks if settings.offload != "none" else 0,
        "engine": asdict(engine),
        "policy": {"prefetch": "none", "label": "none", "eviction": "lru"},
        "device": {"calibration": calibration.name, "status": calibration.status, "of": calibration.device},
        "versions": {"pagedkv": pagedkv.__version__, "numpy": np.__version__, "vllm": parts.version},
        "vllm": about(parts.version, parts.scheduler, settings),
        "seed": seed,
        "workload": dict(table.origin),
        "workload_sha256": table.digest,
        "contents": driver.observer.contents.named,
        "requests": driver.observer.finished,
        "dropped_requests": driver.dropped,
        **({"aborted_requests": driver.aborted} if aborts else {}),
        "rate_scale": float(dict(table.origin).get("parameters", {}).get("rate_scale", 1.0) or 1.0),
        "preemptions": driver.observer.preemptions,
        "verified_reads_blocks": None if shadow is None else shadow.reads,
        "wrong_reads": None if shadow is None else {"blocks": shadow.wrong, "first": shadow.first_wrong},
    }
    return recorder.finish(header)


def about(version: str, scheduler: Any, settings: VllmSettings) -> dict[str, Any]:
    """What the header says of vLLM."""
    return {
        "version": version,
        "reference": REFERENCE,
        "tried": version in TRIED,
        "scheduler": type(scheduler).__name__,
        "settings": asdict(settings),
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
    }
