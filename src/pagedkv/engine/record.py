"""Records the trace of a scenario: the closed loop, by default without prefetching, on a simulated or real device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

import pagedkv
from pagedkv.device.base import Device
from pagedkv.device.calibration import Calibration
from pagedkv.engine.aborts import NO_ABORTS
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.prefetch.base import PrefetchPolicy
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
    *,
    device: Device | None = None,
    policy: PrefetchPolicy | None = None,
    eviction: str = "lru",
    annotate: Callable[[ServeLoop], dict[str, Any]] = lambda loop: {},
    aborts: Mapping[int, float] = NO_ABORTS,
    async_loads: bool = False,
    async_scheduling: bool = False,
) -> Trace:
    """Serve `table` under D-step, or with `async_loads` under D-async, and return what was read when.

    `device`: a real one, which takes every step by itself (None: a simulated one); `policy`: None for no prefetching.
    `annotate` adds to the header what it finds in the finished loop. `aborts`: row -> when its client gives up.
    """
    inputs = (table, settings, geometry, calibration, device, policy, eviction, progress)
    loop, recorder = serve_recorded(*inputs, aborts, async_loads, async_scheduling)
    device = loop.device
    header = {
        "origin": device.origin,
        "scenario": scenario,
        "model": asdict(geometry),
        "block_bytes": geometry.block_bytes,
        "block_tokens": BLOCK_TOKENS,
        "pool_blocks": settings.pool_blocks,
        "host_blocks": settings.host_blocks,
        "engine": asdict(settings),
        "policy": {"prefetch": loop.memory.policy.name, "label": loop.memory.policy.label, "eviction": eviction},
        "device": {"calibration": calibration.name, "status": calibration.status, "of": calibration.device},
        "versions": {"pagedkv": pagedkv.__version__, "numpy": np.__version__},
        "seed": seed,
        "workload": dict(table.origin),
        "workload_sha256": table.digest,
        "contents": loop.memory.tiers.states.count,
        "requests": len(loop.served.completion_s),
        "dropped_requests": loop.served.dropped,
        **({"aborted_requests": loop.served.aborted} if aborts else {}),
        "rate_scale": float(dict(table.origin).get("parameters", {}).get("rate_scale", 1.0) or 1.0),
        "preemptions": loop.scheduler.preemptions,
    }
    return recorder.finish(header | annotate(loop))


def serve_recorded(
    table: RequestTable,
    settings: EngineSettings,
    geometry: Geometry,
    calibration: Calibration,
    device: Device | None = None,
    policy: PrefetchPolicy | None = None,
    eviction: str = "lru",
    progress: Callable[[int], None] = lambda finished: None,
    aborts: Mapping[int, float] = NO_ABORTS,
    async_loads: bool = False,
    async_scheduling: bool = False,
) -> tuple[ServeLoop, Recorder]:
    """Serve `table` to the end, watched by a recorder."""
    loop: ServeLoop | None = None
    policy = policy or NoPrefetch()
    memory = build_memory(
        calibration,
        geometry,
        Logical(lambda request: loop.table_of(request)),
        policy,
        pool_blocks=settings.pool_blocks,
        host_blocks=settings.host_blocks,
        eviction=eviction,
        device=device,
    )
    recorder = Recorder()
    modes = {"leaping": device is None, "async_scheduling": async_scheduling}
    loop = ServeLoop(table, settings, memory, recorder, async_loads, aborts=aborts, **modes)
    loop.run(progress)
    return loop, recorder
