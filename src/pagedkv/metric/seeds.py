"""The same comparison under independent seeds, for intervals over workloads and for the stability of ranks.

A trace that was recorded has one seed. The others are simulated: the generator's workload under another seed, served
by the same engine at calibrated cost, and replayed under the policies whose ranks are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagedkv.device.calibration import Calibration
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.cases import MATCHED, Case, addresses_of
from pagedkv.metric.replay import TraceRuns
from pagedkv.trace.schema import Trace
from pagedkv.workload.registry import build
from pagedkv.workload.table import RequestTable

Progress = Callable[[str], None]


def seed_rows(
    settings: Mapping[str, Any], calibration: Calibration, progress: Progress = lambda label: None
) -> list[dict[str, Any]]:
    """Rows of metrics, with sweep `seeds`, for each seed and policy. `settings`: the slice `config.seeds_settings`."""
    rows = []
    played: dict[str, TraceRuns] = {}
    for seed in range(1, settings["seeds"]["count"] + 1):
        table = build({**settings["workload"], "seed": seed}, Path(), {})
        # Where a generator draws nothing, every seed gives the same requests and so the same trace: only slots differ.
        if table.digest in played:
            runs = played[table.digest].reseeded(seed)
        else:
            runs = TraceRuns(_trace(table, settings, calibration, seed), "", calibration, dict(settings))
            played = {table.digest: runs}
        for case in _cases(settings["seeds"]["policies"]):
            rows.append(runs.row(case, lambda label, seed=seed: progress(f"seed {seed} {label}")))
    return rows


def _trace(table: RequestTable, settings: Mapping[str, Any], calibration: Calibration, seed: int) -> Trace:
    engine = EngineSettings.from_config(settings["engine"])
    return record(
        table, settings["scenario"], engine, geometry(settings["model"]), calibration, seed, lambda done: None
    )


def _cases(entries: list[Mapping[str, Any]]) -> Iterator[Case]:
    """Each policy under LRU, and from I4 on also under the eviction of its level."""
    at = Case("none", sweep="seeds")
    yield at
    for entry in entries:
        for address in addresses_of(entry):
            case = replace(at, prefetch=entry["prefetch"], params=entry.get("params", {}), address=address)
            yield case
            if MATCHED.get(case.level):
                yield replace(case, eviction=MATCHED[case.level])
