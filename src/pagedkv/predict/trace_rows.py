"""Predictability of one trace: brings the trace, a run without prefetching and the probes together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from pagedkv.metric.cases import Case
from pagedkv.metric.replay import TraceRuns
from pagedkv.predict import rows
from pagedkv.predict.horizon import HorizonProbe, ProbeCase

PLANS = ("stay", "len_pred")


def predict_rows(runs: TraceRuns, progress: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """All rows of one trace, each with its scenario and origin."""
    script, header = runs.script(None), runs.header
    progress("run without prefetching")
    loaded = runs.run(Case("none")).misses
    probes = [HorizonProbe(plan=plan) for plan in PLANS]
    for probe in probes:
        progress(f"plan {probe.plan} against what ran")
        runs.run(ProbeCase(f"horizon_probe {probe.plan}", probe=probe))
    progress("entropy")
    found = chain(
        rows.stream_rows(script, loaded, {"physical": runs.managed(None)}, progress),
        rows.schedule_rows(script, header["engine"]["quantum_steps"]),
        rows.similarity_rows(script),
        rows.reuse_rows(script, header["pool_blocks"]),
        rows.horizon_rows(probes),
    )
    return [{"scenario": header["scenario"], "origin": header["origin"], **row} for row in found]
