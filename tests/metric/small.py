"""A small engine for the tests of metrics: the model `tiny` (a block of 4096 bytes), a device with round costs, a
trace of a rotation, and the settings of a replay. A block takes 1 ms on the link, a step computes for 4 ms."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration, ComputeCost, CopyCost
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.replay import TraceRuns
from pagedkv.trace.schema import Trace
from pagedkv.workload.sessions import single_turns
from pagedkv.workload.table import RequestTable

TINY = geometry("tiny")
BLOCK_S, STEP_S = 1e-3, 4e-3
ENGINE = {"pool_blocks": 40, "max_num_seqs": 2, "max_num_batched_tokens": 512, "quantum_steps": 4}


def calibration() -> Calibration:
    """A block takes 1 ms in either direction, the directions do not disturb each other, a step takes 4 ms."""
    rate = TINY.block_bytes / BLOCK_S
    copy = CopyCost(rate, 0.0, ((TINY.piece_bytes, 0.0), (TINY.block_bytes, 0.0)))
    return Calibration("toy", "toy", "none", copy, copy, 2 * rate, ComputeCost(1e18, 1e24, STEP_S))


def table(requests: int = 8) -> RequestTable:
    """Decodes of 8-14 blocks that all arrive at 0."""
    number = np.arange(requests)
    return single_turns(np.zeros(requests), 130 + 13 * number, 24 + 5 * (number % 3), name="toy", origin={})


def trace(requests: int = 8, **engine: Any) -> Trace:
    """What the engine records when it serves `table`; live KV is about twice the pool."""
    settings = EngineSettings.from_config({**ENGINE, **engine})
    return record(table(requests), "toy", settings, TINY, calibration(), seed=3)


def replay_settings(**changes: Any) -> dict[str, Any]:
    """Settings of a replay of every demand mode with three policies; `changes` go into the section `replay`."""
    section = {
        "warmup": 0.0,
        "capacity": [1.0],
        "evictions": ["lru", "plan_aware", "min"],
        "matched": False,
        "policies": [{"prefetch": "none"}, {"prefetch": "la_k", "params": {"k": 8}}, {"prefetch": "clairvoyant"}],
        "link_scale": [],
        "sweep": [],
        "demand": [],
        "demand_steps": 60,
        "demand_policies": [{"prefetch": "none"}, {"prefetch": "next_n", "params": {"n": 2}}],
        "fault_us": [20],
        "page_bytes": 1024,
    }
    return {"scenario": "toy", "model": "tiny", "seed": 3, "replay": {**section, **changes}}


def runs_of(trace: Trace, **changes: Any) -> TraceRuns:
    """Runs of `trace` under `replay_settings(**changes)`."""
    return TraceRuns(trace, "5" * 64, calibration(), replay_settings(**changes))
