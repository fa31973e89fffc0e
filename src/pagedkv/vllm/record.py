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
from pagedkv.vllm.driver import Driver
from pagedkv.vllm.feed import Feed
from pagedkv.vllm.found import REFERENCE, TRIED, required
from pagedkv.vllm.observer import Observer
from pagedkv.vllm.settings import VllmSettings
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
    driver = Driver(table, engine, settings, parts, device, recorder, aborts, check, tolerated)
    driver.run(progress)
    shadow = driver.shadow
    about = {
        "origin": "vllm-cpu",
        "scenario": scenario,
        "device": {"calibration": calibration.name, "status": calibration.status, "of": calibration.device},
        "seed": seed,
        "verified_reads_blocks": None if shadow is None else shadow.reads,
        "wrong_reads": None if shadow is None else {"blocks": shadow.wrong, "first": shadow.first_wrong},
    }
    return recorder.finish(about | header(driver.observer, driver.feed, table, geometry, engine, settings))


def header(
    observer: Observer,
    feed: Feed,
    table: RequestTable,
    geometry: Geometry,
    engine: EngineSettings,
    settings: VllmSettings,
) -> dict[str, Any]:
    """What a trace of vLLM says of itself, whoever ran it: see `engine.record`, and `vllm`."""
    version = required()
    return {
        "model": asdict(geometry),
        "block_bytes": geometry.block_bytes,
        "block_tokens": BLOCK_TOKENS,
        "pool_blocks": engine.pool_blocks,
        "host_blocks": engine.host_blocks if settings.offload != "none" else 0,
        "engine": asdict(engine),
        "policy": {"prefetch": "none", "label": "none", "eviction": "lru"},
        "versions": {"pagedkv": pagedkv.__version__, "numpy": np.__version__, "vllm": version},
        "vllm": {
            "version": version,
            "reference": REFERENCE,
            "tried": version in TRIED,
            "scheduler": observer.scheduler_class,
            "settings": asdict(settings),
            "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
        },
        "workload": dict(table.origin),
        "workload_sha256": table.digest,
        "contents": observer.contents.named,
        "requests": observer.finished,
        "dropped_requests": feed.dropped,
        **({"aborted_requests": observer.aborts} if observer.aborts else {}),
        "rate_scale": float(dict(table.origin).get("parameters", {}).get("rate_scale", 1.0) or 1.0),
        "preemptions": observer.preemptions,
    }
