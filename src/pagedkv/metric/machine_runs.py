"""Runs on a real device: traces of the closed loop, and replays of a pinned schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pagedkv import trace as traces
from pagedkv.device.calibration import Calibration
from pagedkv.device.facts import facts
from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.device.undisturbed import undisturbed
from pagedkv.engine.record import record
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file
from pagedkv.geometry import geometry
from pagedkv.metric.cases import Case
from pagedkv.metric.pinned import PinnedRuns, digest
from pagedkv.metric.serve import serve_metrics
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable

Progress = Callable[[str], None]


def machine_settings(where: str, table: RequestTable, engine: EngineSettings, seed: int) -> MachineSettings:
    """A machine on which `table` can be served under `engine`."""
    if engine.host_blocks is None:
        raise PagedKVError("on a real device host memory is finite: give the scenario a number of host_blocks")
    longest = int((table.prompt_tokens + table.output_tokens).max())
    return MachineSettings(
        where=where,
        pool_blocks=engine.pool_blocks,
        host_blocks=engine.host_blocks,
        max_batch=engine.max_num_seqs,
        max_tokens=engine.max_num_batched_tokens,
        max_positions=min(longest, engine.max_model_len),
        seed=seed,
    )


def record_on(
    machine: Machine,
    table: RequestTable,
    scenario: str,
    engine: EngineSettings,
    calibration: Calibration,
    case: Case,
    progress: Callable[[int], None] = lambda finished: None,
) -> Trace:
    """The trace of the closed loop on `machine` under `case`. What the requests got stays in `machine.runner`."""
    if case.demand != "D-step":
        raise PagedKVError(
            f"demand mode {case.demand} is simulated only: a real device loads the step's blocks together"
        )

    def annotate(loop: ServeLoop) -> dict[str, Any]:
        evidence = digest(machine.runner.produced()) | loop.device.evidence()
        return {
            "case": {name: getattr(case, name) for name in ("prefetch", "params", "eviction", "demand")},
            "served": serve_metrics(loop),
            "evidence": evidence,
            "machine": facts(machine.settings.where),
        }

    with undisturbed():
        return record(
            table,
            scenario,
            engine,
            machine.geometry,
            calibration,
            machine.settings.seed,
            progress,
            device=machine.device(table, calibration),
            policy=case.policy(),
            eviction=case.eviction,
            annotate=annotate,
        )


def measure(
    where: str,
    table: RequestTable,
    trace_file: Path | None,
    settings: dict[str, Any],
    calibration: Calibration,
    out: Path,
    progress: Progress = lambda text: None,
) -> None:
    """What fidelity is judged by, for one scenario: `closed-<n>.kvtrace` and `pinned.json` in the folder `out`.

    `trace_file`: the scenario's trace, whose schedule is pinned; None: that of the first closed run, made here.
    """
    out.mkdir(parents=True, exist_ok=True)
    fidelity, engine = settings["fidelity"], EngineSettings.from_config(settings["engine"])
    with Machine(geometry(settings["model"]), machine_settings(where, table, engine, settings["seed"])) as machine:
        for number, case in enumerate(cases_of(fidelity["closed"])):
            progress(f"closed {case.policy().label} {case.eviction}")
            recorded = record_on(machine, table, settings["scenario"], engine, calibration, case)
            traces.write(recorded, out / f"closed-{number}.kvtrace")
        pinned = trace_file or out / "closed-0.kvtrace"
        trace, sha256, steps = traces.read(pinned), sha256_of(pinned), fidelity["steps"]
        replay = {
            "scenario": settings["scenario"],
            "model": settings["model"],
            "replay": {"warmup": fidelity["warmup"]},
        }
        runs = PinnedRuns(trace, sha256, table, calibration, replay, machine, steps)
        rows = [runs.row(case, lambda text: progress(f"pinned {text}")) for case in cases_of(fidelity["pinned"])]
    write_measured(out / "pinned.json", where, rows, trace_sha256=sha256, steps=steps)


def write_measured(path: Path, where: str, rows: list[dict[str, Any]], **more: Any) -> None:
    """Rows measured by this process, with where and by what."""
    with whole_file(path) as temporary:
        Path(temporary).write_text(json.dumps({"machine": facts(where), **more, "rows": rows}, indent=1))


def cases_of(entries: list[dict[str, Any]]) -> list[Case]:
    """The cases that a list of the configuration asks for."""
    return [
        Case(
            entry["prefetch"],
            entry.get("params", {}),
            address=entry.get("address", "logical"),
            eviction=entry["eviction"],
            demand=entry.get("demand", "D-step"),
        )
        for entry in entries
    ]
