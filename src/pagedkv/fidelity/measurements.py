"""What `pagedkv measure` and `pagedkv identity` left behind, as `recorded/fidelity/` ships it.

A folder a scenario: `closed-<n>.kvtrace` (a closed loop on the GPU under one case), `pinned.json` (replays of a pinned
schedule), and optionally `identity.json` and `calibration.json` (what the engine planned with, where that is not the
calibration under test). A folder `fed` in it holds closed loops of the same cases that are fed their own times instead
of these, where the calibration that these were planned with is not at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv import trace as traces
from pagedkv.device.calibration import Calibration, read_calibration
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.recorded import PROVENANCE, vouched
from pagedkv.trace.schema import Trace
from pagedkv.workload.registry import build
from pagedkv.workload.table import RequestTable

CLOSED = re.compile(r"closed-(\d+)\.kvtrace")
IDENTITY = "identity.json"
NEEDED = ("case", "served", "machine")
"""What a closed run's header says beyond that of any trace."""


@dataclass(frozen=True)
class Measurements:
    """Of one scenario. `pinned` and `identity` hold `machine` and `rows`, or nothing."""

    scenario: str
    closed: list[Trace]
    pinned: dict[str, Any]
    identity: dict[str, Any]
    planned_with: Calibration | None

    @property
    def machine(self) -> dict[str, Any]:
        """Facts of the machine that measured."""
        of_trace = [trace.header["machine"] for trace in self.closed]
        return next(
            (facts for facts in [*of_trace, self.pinned.get("machine"), self.identity.get("machine")] if facts), {}
        )


def read(folder: str | Path) -> Measurements:
    """Everything in a scenario's folder. Raises PagedKVError naming the file that is broken or was changed."""
    folder = Path(folder)
    numbered = sorted((int(found[1]), path) for path in folder.iterdir() if (found := CLOSED.fullmatch(path.name)))
    calibration = folder / "calibration.json"
    return Measurements(
        folder.name,
        [_closed(_checked(path)) for _, path in numbered],
        read_rows(folder / "pinned.json"),
        read_rows(folder / IDENTITY),
        read_calibration(_checked(calibration)) if calibration.exists() else None,
    )


def read_rows(path: Path) -> dict[str, Any]:
    """`machine` and `rows` of a JSON file; empty where there is none."""
    if not path.exists():
        return {}
    try:
        found = json.loads(_checked(path).read_text())
        return {"machine": found.get("machine", {}), "steps": found.get("steps"), "rows": list(found["rows"])}
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise PagedKVError(f"{path}: not measured rows: {type(error).__name__}: {error}") from error


def _checked(path: Path) -> Path:
    """What lies beside a provenance.json has to be what that says."""
    return vouched(path) if (path.parent / PROVENANCE).exists() else path


def _closed(path: Path) -> Trace:
    trace = traces.read(path)
    if missing := [key for key in NEEDED if key not in trace.header]:
        raise PagedKVError(f"{path}: its header has no '{missing[0]}': not a run that was measured for fidelity")
    return trace


def case_of(fields: Mapping[str, Any]) -> Case:
    """The case that a trace's header or a measured row describes."""
    params = fields["params"]
    params = json.loads(params) if isinstance(params, str) else dict(params)
    options = {key: fields[key] for key in ("address", "demand") if key in fields}
    return Case(fields["prefetch"], params, eviction=fields["eviction"], **options)


def requests_of(trace: Trace) -> RequestTable:
    """The requests that `trace` served, made anew by their generator. Raises PagedKVError where they are others."""
    origin = trace.header["workload"]
    if "generator" not in origin:
        raise PagedKVError(f"the requests of scenario '{trace.header['scenario']}' come from no generator")
    parameters = origin["parameters"]
    if "name" in parameters:  # a controlled study, all of whose parameters stand in a table under its name
        parameters = {"case": parameters["name"], "seed": parameters["seed"]}
    table = build({"generator": origin["generator"], **parameters}, data_dir="")
    if table.digest != trace.header["workload_sha256"]:
        raise PagedKVError(
            f"generator '{origin['generator']}' makes other requests now than were measured under "
            f"scenario '{trace.header['scenario']}': measure anew"
        )
    return table
