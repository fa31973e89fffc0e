"""Closed-loop runs: what requests experience under each policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.demand import DStep, demand_mode
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.metric.cases import Case
from pagedkv.workload.table import RequestTable


def serve_rows(
    table: RequestTable,
    settings: dict[str, Any],
    geometry: Geometry,
    calibration: Calibration,
    progress: Callable[[str], None] = lambda label: None,
) -> list[dict[str, Any]]:
    """One row for each entry of `settings["serve"]`."""
    rows = []
    for entry in settings["serve"]:
        case = Case(
            entry["prefetch"],
            entry.get("params", {}),
            eviction=entry["eviction"],
            demand=entry["demand"],
            sweep="serve",
        )
        engine = EngineSettings.from_config({**settings["engine"], **entry.get("engine", {})})
        progress(f"{case.policy().label} {case.eviction} {case.demand}")
        loop = run_closed_loop(table, case, engine, geometry, calibration)
        rows.append(_identity(settings, case, entry, engine, geometry, table) | serve_metrics(loop))
    return rows


def run_closed_loop(
    table: RequestTable, case: Case, engine: EngineSettings, geometry: Geometry, calibration: Calibration
) -> ServeLoop:
    """Serve `table` to the end under one case; returns the finished loop."""
    loop: ServeLoop | None = None
    asynchronous = case.demand == "D-async"
    memory = build_memory(
        calibration,
        geometry,
        Logical(lambda request: loop.table_of(request)),
        case.policy(),
        pool_blocks=engine.pool_blocks,
        host_blocks=engine.host_blocks,
        eviction=case.eviction,
        demand=DStep() if asynchronous else demand_mode(case.demand, case.fault_us, case.page_bytes),
        link_scale=case.link_scale,
    )
    loop = ServeLoop(table, engine, memory, async_loads=asynchronous)
    loop.run()
    return loop


def _identity(
    settings: dict[str, Any],
    case: Case,
    entry: dict[str, Any],
    engine: EngineSettings,
    geometry: Geometry,
    table: RequestTable,
) -> dict[str, Any]:
    return {
        "scenario": settings["scenario"],
        "origin": "simulated",
        "sweep": case.sweep,
        "prefetch": case.prefetch,
        "family": case.policy().family,
        "params": json.dumps(case.params, sort_keys=True),
        "address": case.address,
        "label": _label(entry, case),
        "eviction": case.eviction,
        "level": str(case.level),
        "demand": case.demand,
        "preemption": engine.preemption,
        "max_num_seqs": engine.max_num_seqs,
        "capacity_blocks": engine.pool_blocks,
        "host_blocks": -1 if engine.host_blocks is None else engine.host_blocks,
        "block_bytes": geometry.block_bytes,
        "link_scale": case.link_scale,
        "seed": settings["seed"],
        "workload_sha256": table.digest,
    }


def _label(entry: dict[str, Any], case: Case) -> str:
    """A run under other engine settings is a control, and never called like the run under the scenario's own."""
    changed = ", ".join(f"{key}={value}" for key, value in entry.get("engine", {}).items())
    own = case.policy().label
    return entry.get("label", f"{own} ({changed})" if changed else own)


def serve_metrics(loop: ServeLoop) -> dict[str, Any]:
    """Metrics of a finished closed loop."""
    served, counts = loop.served, loop.memory.counts
    device = loop.memory.tiers.device
    elapsed = served.elapsed_s or float("nan")
    gaps, weights = served.token_gaps()
    return {
        "requests": len(served.completion_s),
        "dropped_requests": served.dropped,
        "steps": served.steps,
        "elapsed_s": elapsed,
        "tokens_s": served.output_tokens / elapsed,
        "requests_s": len(served.completion_s) / elapsed,
        "ttft_mean_s": _mean(served.ttft_s),
        "ttft_p50_s": _percentile(served.ttft_s, 50),
        "ttft_p99_s": _percentile(served.ttft_s, 99),
        "tpot_p50_s": _percentile(served.tpot_s, 50),
        "tpot_p99_s": _percentile(served.tpot_s, 99),
        "itl_p50_s": weighted_percentile(gaps, weights, 50),
        "itl_p99_s": weighted_percentile(gaps, weights, 99),
        "completion_p50_s": _percentile(served.completion_s, 50),
        "completion_p99_s": _percentile(served.completion_s, 99),
        "preemptions": loop.scheduler.preemptions,
        "effective_batch": served.batch_seconds / elapsed,
        "stall_s": counts.stall_s,
        "compute_s": served.compute_s,
        "request_delay_s": loop.scheduler.load_delay_s,
        "recomputed_tokens": loop.scheduler.recomputed_tokens,
        "demand_loads": counts.demand_loads,
        "issued": loop.memory.issuer.counts.issued,
        "useful": counts.useful,
        "decision_calls": counts.decision_calls,
        "h2d_bytes": device.h2d.bytes,
        "d2h_bytes": device.d2h.bytes,
        "link_utilisation": device.h2d.busy_s / elapsed,
        "hit_tokens": served.hit_tokens,
        "hit_tokens_host": loop.kv.host_hit_blocks * BLOCK_TOKENS,
        "hit_tokens_gpu": served.hit_tokens - loop.kv.host_hit_blocks * BLOCK_TOKENS,
    }


def weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The smallest value below or at which `percent` % of the weight lies; NaN without values."""
    if len(values) == 0:
        return float("nan")
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, percent / 100 * total[-1])])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")
