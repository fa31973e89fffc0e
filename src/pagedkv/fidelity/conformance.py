"""Conformance: fed the times that a run on a GPU recorded, the engine decides the same and moves the same bytes.

This is exact, not statistical: every row of every table of the trace has to come out again (design section 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.device.fed import FedDevice
from pagedkv.engine.record import serve_recorded
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.measurements import case_of
from pagedkv.geometry import geometry
from pagedkv.metric.serve import serve_metrics
from pagedkv.trace.schema import TABLES, Columns, Trace
from pagedkv.workload.table import RequestTable

NANOSECOND_US = 1e-3
"""Times are whole nanoseconds; in microseconds they may differ by rounding, by less than half of one."""


@dataclass(frozen=True)
class Conformance:
    """`difference` names the first row that differs; empty where none does. `comparable` is False where the calibration
    that the engine planned with is not the one given, so that nothing can be said."""

    decisions: bool
    bytes: bool
    difference: str = ""
    comparable: bool = True


def conform(trace: Trace, table: RequestTable, calibration: Calibration) -> Conformance:
    """Run the case of `trace` on its own times. `calibration` has to be the one that the engine planned with."""
    header, case = trace.header, case_of(trace.header["case"])
    planned, given = header["device"]["status"], calibration.status
    if planned != given:
        return Conformance(False, False, f"the run was planned with another calibration: {planned}", comparable=False)
    shape = geometry(header["model"]["name"])
    device = FedDevice(calibration, shape, trace)
    settings = EngineSettings(**header["engine"])
    try:
        loop, recorder = serve_recorded(table, settings, shape, calibration, device, case.policy(), case.eviction)
    except PagedKVError as error:
        return Conformance(False, False, str(error))
    served, measured = serve_metrics(loop), header["served"]
    moved = [
        f"{key}: recorded {measured[key]}, fed {served[key]}"
        for key in ("h2d_bytes", "d2h_bytes")
        if served[key] != measured[key]
    ]
    decided = first_difference(trace, recorder.finish({}))
    return Conformance(not decided, not moved, decided or next(iter(moved), ""))


def first_difference(recorded: Trace, fed: Trace) -> str:
    """The earliest step at which two traces differ, with table, column and both values; empty if they do not."""
    found = [
        difference for name in TABLES for difference in _differences(name, getattr(recorded, name), getattr(fed, name))
    ]
    return min(found)[1] if found else ""


def _differences(name: str, recorded: Columns, fed: Columns) -> Iterator[tuple[float, str]]:
    """(step, what differs) of the first row of each column that differs, and of the first row that one side lacks."""
    when = next((column for column in ("step", "seen_step") if column in recorded), None)
    rows = len(recorded[next(iter(recorded))]), len(fed[next(iter(fed))])
    common = min(rows)
    for column, values in recorded.items():
        one, other = values[:common], np.asarray(fed[column])[:common]
        differs = np.abs(one - other) > NANOSECOND_US if column.endswith("_us") else one != other
        if differs.any():
            row = int(differs.argmax())
            step = float(recorded[when][row]) if when else inf
            yield step, f"{_at(step)}{name}.{column}: recorded {one[row]}, fed {other[row]}"
    if rows[0] != rows[1]:
        longer = recorded if rows[0] > rows[1] else fed
        step = float(longer[when][common]) if when else inf
        yield step, f"{_at(step)}{name}: recorded {rows[0]} rows, fed {rows[1]}"


def _at(step: float) -> str:
    return "" if step == inf else f"step {step:.0f}, "
