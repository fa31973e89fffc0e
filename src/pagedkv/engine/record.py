"""Records the trace of a scenario: the closed loop under demand loading, on the simulated device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

import pagedkv
from pagedkv.device.calibration import Calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.prefetch.none import NoPrefetch
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable


def record(
    table: RequestTable,
    scenario: str,
    settings: EngineSettings,
    geometry: Geometry,
    calibration: Calibration,
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
) -> Trace:
    """Serve `table` without prefetching, eviction lru, D-step, and return what was read when."""
    memory = build_memory(
        calibration,
        geometry,
        Logical(lambda request: np.zeros(0, np.int64)),
        NoPrefetch(),
        pool_blocks=settings.pool_blocks,
        host_blocks=settings.host_blocks,
    )
    recorder = Recorder()
    loop = ServeLoop(table, settings, memory, recorder)
    served = loop.run(progress)
    return recorder.finish(
        {
            "origin": memory.tiers.device.origin,
            "scenario": scenario,
            "model": asdict(geometry),
            "block_bytes": geometry.block_bytes,
            "block_tokens": BLOCK_TOKENS,
            "pool_blocks": settings.pool_blocks,
            "host_blocks": settings.host_blocks,
            "engine": asdict(settings),
            "device": {"calibration": calibration.name, "status": calibration.status, "of": calibration.device},
            "versions": {"pagedkv": pagedkv.__version__, "numpy": np.__version__},
            "seed": seed,
            "workload": dict(table.origin),
            "workload_sha256": table.digest,
            "contents": memory.tiers.states.count,
            "requests": len(served.completion_s),
            "dropped_requests": served.dropped,
            "rate_scale": float(dict(table.origin).get("parameters", {}).get("rate_scale", 1.0) or 1.0),
            "preemptions": loop.scheduler.preemptions,
        }
    )
