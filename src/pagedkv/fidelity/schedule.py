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
    if not any(row["h2d_bytes"] for row in rows):
        return  # nothing was pinned, or nothing was loaded in it: there is nothing to hold against each other
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
    """Runs on a trace of the schedule that was pinned: under it, demand loading moves the bytes that were measured.

    A schedule may have been recorded more than once, and a file's own digest changes with its form. Loads on demand
    depend on the schedule alone, so that they tell whether it is the same; times of computation differ a little.
    """
    first, steps = pinned["rows"][0], pinned["steps"]
    demanded = next((row for row in pinned["rows"] if row["prefetch"] == "none" and row["eviction"] == "lru"), first)
    for trace in candidates:
        runs = _Runs(trace if steps is None else head(trace, steps), calibration, first["steps"])
        if trace.header["scenario"] != first["scenario"] or runs.script(None).steps < first["steps"]:
            continue
        if runs.run(case_of(demanded)).h2d_bytes == demanded["h2d_bytes"]:
            return runs
    raise PagedKVError(f"no trace at hand has the schedule that was pinned for scenario '{first['scenario']}'")
