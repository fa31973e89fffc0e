"""Measures what copies and steps cost on this machine, raw: `device/fit.py` makes a calibration of it, anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pagedkv.device.facts import facts
from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.device.measure import copy_rates
from pagedkv.device.points import CHECK, StepPoint, copy_points, step_points, tiny_step_points
from pagedkv.device.steps import Standing, measure_steps
from pagedkv.files import whole_file
from pagedkv.geometry import BLOCK_TOKENS, geometry

POOL_BLOCKS = 40_000
"""KV of 640,000 tokens: 84 GB of llama-3-8b, beside its weights on one H200."""


def calibrate(where: str, model: str, out: Path, progress: Callable[[str], None] = lambda text: None) -> None:
    """Measure and write the raw rows. On a CPU only the `tiny` plan runs, which proves the path and nothing else."""
    shape, small = geometry(model), where == "cpu"
    points = tiny_step_points() if small else step_points(POOL_BLOCKS * BLOCK_TOKENS)
    settings = MachineSettings(
        where=where,
        pool_blocks=4096 // BLOCK_TOKENS if small else POOL_BLOCKS,
        host_blocks=64 if small else 2048,
        max_batch=max(point.batch for point in points),
        max_tokens=max(point.tokens for point in points),
        max_positions=max(tokens + computed for point in points for tokens, computed in point.requests) + 32,
    )
    with Machine(shape, settings) as machine:
        if not small:
            machine.pool.normal_()
        steps = measure_steps(machine, points, progress=progress)
        decode = Standing(machine, StepPoint("decode", ((1, 64 if small else 2048),) * (4 if small else 32), CHECK))
        decode.step()
        beside = {"decode": decode.again}
        copies = copy_rates(where, copy_points(shape.block_bytes, shape.piece_bytes), progress, beside=beside)
    found = {"provenance": {"model": model, **facts(where)}, "copies": copies, "steps": steps}
    with whole_file(out) as temporary:
        Path(temporary).write_text(json.dumps(found))
