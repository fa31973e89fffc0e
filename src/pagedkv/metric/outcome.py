"""What is kept of a finished run, and the columns of metrics that follow from it alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagedkv.engine.counts import Counts
from pagedkv.engine.issuer import IssuerCounts
from pagedkv.engine.script import Script


@dataclass(frozen=True)
class Outcome:
    """What is kept of a finished run: counts and stalls of the measured part, not the block states."""

    counts: Counts
    issuer: IssuerCounts
    stalls_s: np.ndarray
    misses: list[tuple[int, np.ndarray]]
    unused_block_s: float
    h2d_bytes: int
    d2h_bytes: int
    link_busy_s: float

    @property
    def stall_s(self) -> float:
        return self.counts.stall_s


def time_columns(script: Script, outcome: Outcome, warmup: int) -> dict[str, Any]:
    """Where the time of the measured steps went; the first `warmup` steps are cut."""
    compute, idle = float(script.compute_s[warmup:].sum()), float(script.idle_s[warmup:].sum())
    return {
        "steps": script.steps - warmup,
        "compute_s": compute,
        "idle_s": idle,
        "stall_s": outcome.stall_s,
        "elapsed_s": compute + idle + outcome.stall_s,
    }


def prefetch_columns(outcome: Outcome, shadow: Outcome) -> dict[str, Any]:
    """Metrics of policies.md 8.1, with the denominators fixed there."""
    counts = outcome.counts
    issued, useful, loads = outcome.issuer.issued, counts.useful, counts.demand_loads
    m0 = shadow.counts.demand_loads
    nan = math.nan
    return {
        "demand_loads": loads,
        "demand_loads_none": m0,
        "issued": issued,
        "useful": useful,
        "timely": counts.timely,
        "late": counts.late,
        "same_step": counts.same_step,
        "cross_step": counts.cross_step,
        "early": counts.early,
        "unused": issued - useful,
        "accuracy": useful / issued if issued else nan,
        "coverage": (m0 - loads) / m0 if m0 else nan,
        "coverage_miss_based": useful / (useful + loads) if useful + loads else nan,
        "cross_step_share": counts.cross_step / useful if useful else nan,
        "lateness": counts.late / useful if useful else nan,
        "exposed_late_s": counts.exposed_late_s,
        "pollution": _extra_misses(outcome, shadow) / m0 if m0 else nan,
        "overprediction": (issued - useful) / m0 if m0 else nan,
        "unused_block_s": outcome.unused_block_s,
        "decision_calls": counts.decision_calls,
        "proposals": outcome.issuer.proposed,
        "dropped_resident": outcome.issuer.dropped_resident,
        "dropped_in_flight": outcome.issuer.dropped_in_flight,
        "dropped_no_room": outcome.issuer.dropped_no_room,
        "cancelled": outcome.issuer.cancelled,
        "issue_to_need_steps": counts.issue_to_need_steps.tolist(),
        "fill_to_use_ms": counts.fill_to_use_ms.tolist(),
    }


def _extra_misses(outcome: Outcome, shadow: Outcome) -> int:
    """Demand loads that the shadow run, without prefetching, does not have at the same step."""
    return len(np.setdiff1d(_keys(outcome), _keys(shadow), assume_unique=True))


def _keys(outcome: Outcome) -> np.ndarray:
    parts = [(np.int64(step) << 32) + contents for step, contents in outcome.misses]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def link_columns(outcome: Outcome, shadow: Outcome, elapsed_s: float) -> dict[str, Any]:
    """What the link carried, beside the run without prefetching (`shadow`) and the elapsed time."""
    own, base = outcome.h2d_bytes, shadow.h2d_bytes
    m0 = shadow.counts.demand_loads
    return {
        "amplification_blocks": (outcome.counts.demand_loads + outcome.issuer.issued) / m0 if m0 else math.nan,
        "amplification_bytes": own / base if base else math.nan,
        "h2d_bytes": own,
        "d2h_bytes": outcome.d2h_bytes,
        "link_busy_s": outcome.link_busy_s,
        "link_utilisation": outcome.link_busy_s / elapsed_s if elapsed_s else math.nan,
        "link_prefetch_share": outcome.issuer.link_s / elapsed_s if elapsed_s else math.nan,
    }
