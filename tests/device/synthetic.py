"""Measurements of a device that does not exist, whose costs are known. Nothing here is a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.device.calibration import CopyCost
from pagedkv.device.cost import MeasuredCost, PathCost, Table
from pagedkv.device.points import CopyPoint, copy_points, step_points

COPY = CopyCost(55e9, 8e-6, ((8192, 0.4e-6), (65536, 0.6e-6), (524288, 0.9e-6), (2 << 20, 1.3e-6), (4 << 20, 1.3e-6)))
CONTENTION = 0.9
SLOWDOWN = 1.03
COST = MeasuredCost(
    "llama-3-8b",
    PathCost(1e-4, Table(((1, 4.6e-3), (8, 4.7e-3), (64, 5.3e-3))), Table(((1, 4.0e-8), (64, 3.2e-8)))),
    PathCost(2e-4, Table(((16, 9e-3), (256, 9.5e-3), (2048, 46e-3))), Table(((16, 3.5e-8),)), 7.8e-10),
)
"""A base between the buckets of the plan lies on the line, so that every bucket's cost is known."""


def raw(noise: float = 0.0, seed: int = 1, repeats: int = 10, cost: MeasuredCost = COST) -> dict[str, Any]:
    """What a runner would write: relative normal noise on every repeat of every point of the plan."""
    rng = np.random.default_rng(seed)
    return {
        "provenance": {"model": cost.model, "device": "made up"},
        "copies": [_copy_row(point, rng, noise, repeats) for point in copy_points(2 << 20, 64 << 10)],
        "steps": [
            row for point in step_points(900_000) for row in _step_rows(point, rng, noise, repeats, cost)
        ],
    }  # fmt: skip


def copy_s(point: CopyPoint) -> float:
    """Batches cost what COPY says; other methods take a fifth longer for each piece; both ways keep CONTENTION, and are
    timed without what submissions cost."""
    if point.direction == "both":
        return point.pieces * point.piece_bytes / COPY.bytes_per_s / CONTENTION
    piece = 0.0 if point.method == "single" and point.pieces == 1 else COPY.piece_overhead_s(point.piece_bytes)
    worse = 1.0 if point.method == "batch" else 1.2
    return COPY.submit_s * worse + point.pieces * (piece * worse + point.piece_bytes / COPY.bytes_per_s)


def _copy_row(point: CopyPoint, rng: np.random.Generator, noise: float, repeats: int) -> dict[str, Any]:
    times = copy_s(point) * (1 + noise * rng.standard_normal(repeats))
    return {
        "direction": point.direction,
        "method": point.method,
        "piece_bytes": point.piece_bytes,
        "pieces": point.pieces,
        "concurrent": point.concurrent,
        "seconds": float(np.median(times)),
        "p10": float(np.percentile(times, 10)),
        "p90": float(np.percentile(times, 90)),
        "compute_slowdown": None if point.concurrent == "none" else SLOWDOWN + noise * rng.standard_normal(),
    }


def _step_rows(point, rng: np.random.Generator, noise: float, repeats: int, cost: MeasuredCost):
    path = cost.mixed if point.attention_pairs else cost.decode
    tokens = point.tokens if point.attention_pairs else _bucket(point.tokens)
    gpu = path.at(tokens, point.context_tokens, point.attention_pairs) - path.host_s
    for repeat in range(repeats):
        host, own = path.host_s, gpu * (1 + noise * rng.standard_normal())
        yield {
            "kind": point.kind,
            "batch": point.batch,
            "tokens": point.tokens,
            "context_tokens": point.context_tokens,
            "attention_pairs": point.attention_pairs,
            "gpu_s": own,
            "host_s": host,
            "total_s": own + host,
            "repeat": repeat,
            "split": point.split,
        }


def _bucket(batch: int) -> int:
    return batch if batch <= 2 else 4 if batch <= 4 else -(-batch // 8) * 8
