"""Replays of a pinned schedule: measured on a GPU, and on the simulated device under the same policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pagedkv.device.calibration import Calibration
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.freerun import relative
from pagedkv.fidelity.measurements import case_of
from pagedkv.metric.interval import stall_removed_interval
from pagedkv.metric.replay import TraceRuns
from pagedkv.trace.cut import head
from pagedkv.trace.schema import Trace

SAME_S = 1e-9
"""Computed seconds by which a trace is told from others; sums in the same order are equal."""


class _Runs(TraceRuns):
    """Simulated runs that are cut where the measured ones were."""

    def __init__(self, trace: Trace, calibration: Calibration, measured_steps: int) -> None:
        settings = {"scenario": trace.header["scenario"], "model": trace.header["model"]["name"]}
        super().__init__(trace, "", calibration, settings)
        self._measured_steps = measured_steps

    def warmup(self, script: Any) -> int:
        return script.steps - self._measured_steps


def pinned_rows(
    pinned: dict[str, Any], candidates: Iterable[Trace], calibration: Calibration
) -> Iterator[dict[str, Any]]:
    """One row a measured policy. `candidates`: traces of which one is that whose schedule was pinned."""
    rows = pinned.get("rows", [])
    if not rows:
        return
    runs = _pinned_runs(pinned, candidates, calibration)
    digests = [{row.get(name) for row in rows} for name in ("tokens_sha256", "logits_sha256")]
    for row in rows:
        case = case_of(row)
        outcome, none = runs.run(case), runs.run(case.baseline("lru"))
        low, high = stall_removed_interval(outcome.stalls_s, none.stalls_s)
        removed = 1 - outcome.stall_s / none.stall_s if none.stall_s > 0 else float("nan")
        yield {
            "stall_s_measured": row["stall_s"],
            "stall_s_simulated": outcome.stall_s,
            "stall_s_error": relative(outcome.stall_s, row["stall_s"]),
            "stall_none_s_measured": row["stall_none_s"],
            "stall_none_s_simulated": none.stall_s,
            "stall_removed_measured": row["stall_removed"],
            "stall_removed_measured_lo": row["stall_removed_lo"],
            "stall_removed_measured_hi": row["stall_removed_hi"],
            "stall_removed_simulated": removed,
            "stall_removed_simulated_lo": low,
            "stall_removed_simulated_hi": high,
            "stall_removed_error": removed - row["stall_removed"],
            "h2d_bytes_measured": row["h2d_bytes"],
            "h2d_bytes_simulated": outcome.h2d_bytes,
            "h2d_bytes_error": relative(outcome.h2d_bytes, row["h2d_bytes"]),
            "steps_measured": row["steps"],
            "tokens_identical": float(len(digests[0]) == 1),
            "logits_identical": float(len(digests[1]) == 1),
        }


def _pinned_runs(pinned: dict[str, Any], candidates: Iterable[Trace], calibration: Calibration) -> _Runs:
    """Runs on the trace that computes what the measured rows say; a file's own digest would change with its form."""
    row, steps = pinned["rows"][0], pinned["steps"]
    for trace in candidates:
        runs = _Runs(trace if steps is None else head(trace, steps), calibration, row["steps"])
        script = runs.script(None)
        compute_s = float(script.compute_s[runs.warmup(script) :].sum())
        if script.steps >= row["steps"] and abs(compute_s - row["compute_s"]) < SAME_S:
            return runs
    raise PagedKVError(f"the trace whose schedule was pinned for scenario '{row['scenario']}' is not at hand")
