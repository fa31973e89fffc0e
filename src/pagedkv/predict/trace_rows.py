"""Predictability of one trace: brings the trace, a run without prefetching and the probes together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from pagedkv.metric.replay import TraceRuns
from pagedkv.predict import rows
from pagedkv.predict.horizon import HorizonProbe
from pagedkv.predict.probe import FaultProbe, ProbeCase

PLANS = ("stay", "len_pred")
SPACES = ("logical", "physical", "host")


def predict_rows(runs: TraceRuns, progress: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """All rows of one trace, each with its scenario and origin."""
    script, header = runs.script(None), runs.header
    watched = {space: FaultProbe() for space in SPACES}
    for space, probe in watched.items():
        progress(f"faults, {space}")
        runs.run(ProbeCase("fault_probe", address=space, probe=probe))
    horizons = [HorizonProbe(plan=plan) for plan in PLANS]
    for probe in horizons:
        progress(f"plan {probe.plan} against what ran")
        runs.run(ProbeCase(f"horizon_probe {probe.plan}", probe=probe))
    found = chain(
        rows.stream_rows(script, {space: probe.pages for space, probe in watched.items()}, progress),
        rows.schedule_rows(script, header["engine"]["max_num_seqs"], header["engine"]["quantum_steps"]),
        rows.similarity_rows(script),
        rows.reuse_rows(script, header["pool_blocks"]),
        rows.horizon_rows(horizons),
    )
    return [{"scenario": header["scenario"], "origin": header["origin"], **row} for row in found]
