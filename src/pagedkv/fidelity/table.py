"""The table of fidelity: everything that was measured on a GPU beside what the simulator says of it.

The column `kind` tells its rows apart:

- `closed`: a closed loop; conformance when fed, and errors when it runs freely
- `ablation`: the same simulated without a part of the model (`ablation` names it)
- `pinned`: a policy under a pinned schedule; stall, stall removed, and whether all policies gave the same tokens
- `order`: the order of a scenario's policies by one quantity (`by`)
- `identity`: requests that got the tokens of the run without offload; `cost`: what batch-invariant kernels cost
- `bar`: a bar, its deciding value, verdict, and the cause of a miss
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagedkv import trace as traces
from pagedkv.device.calibration import Calibration
from pagedkv.fidelity import order
from pagedkv.fidelity.bars import bar_rows, off
from pagedkv.fidelity.columns import NUMBERS, frame
from pagedkv.fidelity.conformance import Conformance, conform
from pagedkv.fidelity.freerun import closed_rows
from pagedkv.fidelity.measurements import Measurements, case_of, read, read_rows, requests_of
from pagedkv.fidelity.schedule import pinned_rows
from pagedkv.metric.cases import Case
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable

Row = dict[str, Any]
Progress = Callable[[str], None]


def fidelity_table(
    folders: Sequence[Path],
    calibration: Calibration,
    pinned_traces: Path,
    identity: Path | None = None,
    progress: Progress = lambda text: None,
) -> pd.DataFrame:
    """All rows of the folders of scenarios, and the bars over them. `pinned_traces`: where the scenarios' own traces
    lie; `identity`: what was measured apart from any scenario."""
    rows: list[Row] = []
    for folder in folders:
        measured = read(folder)
        own = pinned_traces / f"{measured.scenario}.kvtrace"
        rows += scenario_rows(measured, calibration, [traces.read(own)] if own.exists() else [], progress)
    if identity is not None and identity.exists():
        rows += identity_rows(read_rows(identity), "identity")
    return frame([*rows, *bar_rows(rows)])


def scenario_rows(
    measured: Measurements,
    calibration: Calibration,
    pinned_traces: Sequence[Trace] = (),
    progress: Progress = lambda text: None,
    table: RequestTable | None = None,
) -> list[Row]:
    """Rows of one scenario. `table`: its requests, where no generator makes them anew."""
    rows: list[Row] = []
    machine = str(measured.machine.get("device", ""))
    for trace in measured.closed:
        progress(f"{measured.scenario} {trace.header['policy']['label']} {trace.header['policy']['eviction']}")
        requests = table or requests_of(trace)
        rows += _closed(trace, requests, calibration, conform(trace, requests, measured.planned_with or calibration))
    progress(f"{measured.scenario} pinned schedule")
    pinned = list(pinned_rows(measured.pinned, [*pinned_traces, *measured.closed], calibration))
    for row, of in zip(pinned, measured.pinned["rows"] if pinned else [], strict=True):
        rows.append({"kind": "pinned"} | _columns_of(case_of(of)) | row)
    rows = [{"scenario": measured.scenario} | row for row in [*rows, *_orders(rows)]]
    return [{"machine": machine} | row for row in [*rows, *identity_rows(measured.identity, measured.scenario)]]


def _closed(trace: Trace, table: RequestTable, calibration: Calibration, found: Conformance) -> Iterator[Row]:
    whose = _columns_of(case_of(trace.header["case"]))
    evidence = {key: value for key, value in trace.header.get("evidence", {}).items() if key in NUMBERS}
    intact: Row = {}
    for row in closed_rows(trace, table, calibration):
        row |= off(row)
        if not row["ablation"]:
            intact = row
            exact = {"decisions_exact": found.decisions, "bytes_exact": found.bytes}
            exact = {name: float(value) if found.comparable else math.nan for name, value in exact.items()}
            yield {"kind": "closed"} | whose | evidence | row | exact | {"first_difference": found.difference}
        else:
            # What misses a bar that the whole model keeps is missed for want of that part.
            breaks = set(_names(row)) - set(_names(intact))
            yield {"kind": "ablation"} | whose | row | {"breaks": float(bool(breaks))}


def _names(row: Row) -> list[str]:
    return [name for name in row["missed"].split(", ") if name]


def _columns_of(case: Case) -> Row:
    policy = case.policy()
    return {
        "prefetch": case.prefetch,
        "family": policy.family,
        "params": json.dumps(case.params, sort_keys=True),
        "address": case.address,
        "label": policy.label,
        "eviction": case.eviction,
        "demand": case.demand,
        "level": str(case.level),
    }


def _orders(rows: list[Row]) -> Iterator[Row]:
    """By elapsed time and stall in the closed loop, by stall under the pinned schedule."""
    for kind, quantity, by in (
        ("closed", "elapsed_s", "elapsed time"),
        ("closed", "stall_s", "stall"),
        ("pinned", "stall_s", "stall, pinned"),
    ):
        own = [row for row in rows if row["kind"] == kind]
        if len(own) < 2:
            continue
        found = order.compare(*([row[f"{quantity}_{side}"] for row in own] for side in ("measured", "simulated")))
        counts = {"pairs": found.pairs, "notable_pairs": found.notable, "agreeing_pairs": found.agreeing}
        names = " and ".join(_name(own[index]) for index in found.unlike or ())
        apart = "{:.1%} apart as measured, {:.1%} as simulated".format(*found.gains)
        unlike = f"{names}: {apart}" if names else ""
        yield {"kind": "order", "by": by, "label": by, "tau": found.tau, "unlike": unlike} | counts


def _name(row: Row) -> str:
    where = " (slots)" if row["address"] == "physical" else ""
    return f"{row['label']}{where} with {row['eviction']}"


def identity_rows(measured: dict[str, Any], scenario: str) -> Iterator[Row]:
    """Requests with identical tokens, and the slow-down by batch-invariant kernels."""
    rows = measured.get("rows", [])
    machine = str(measured.get("machine", {}).get("device", ""))
    for row in rows:
        if row["mode"] == "cost":
            continue
        share = row["identical"] / row["requests"] if row["requests"] else float("nan")
        known = {key: float(row[key]) for key in NUMBERS if key in row and row[key] is not None}
        made = {"kind": "identity", "scenario": scenario, "mode": row["mode"], "label": row["case"], "machine": machine}
        yield made | known | {"identical_share": share}
    times = [(row["case"], row["elapsed_s"]) for row in rows if row["mode"] == "cost"]
    for name, elapsed_s in times:
        made = {"kind": "cost", "scenario": scenario, "mode": "cost", "label": name, "machine": machine}
        yield made | {"elapsed_s": elapsed_s, "slowdown": elapsed_s / min(t for _, t in times) - 1}
