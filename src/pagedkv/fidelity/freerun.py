"""A closed loop as measured on a GPU beside the same loop on the simulated device, which runs on its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration, step_compute_s
from pagedkv.engine.record import serve_recorded
from pagedkv.engine.settings import EngineSettings
from pagedkv.fidelity.ablations import Model, ablations
from pagedkv.fidelity.batches import Batches, batches, latencies
from pagedkv.fidelity.columns import QUANTITIES
from pagedkv.fidelity.distance import edit_distance
from pagedkv.fidelity.measurements import case_of
from pagedkv.geometry import Geometry, geometry
from pagedkv.metric.serve import serve_metrics
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable


@dataclass(frozen=True)
class Run:
    """A finished closed loop: what is compared of it, and its trace."""

    quantities: dict[str, float]
    trace: Trace
    batches: Batches

    @property
    def compute_s(self) -> float:
        return float(self.trace.steps["compute_us"].sum()) * 1e-6

    @property
    def idle_s(self) -> float:
        return float(self.trace.steps["idle_us"].sum()) * 1e-6


def run_of(trace: Trace) -> Run:
    """What is compared of a trace whose header holds what was `served`."""
    served, steps, times = trace.header["served"], trace.steps, latencies(trace)
    quantities = {
        "step_s": float((steps["stall_us"] + steps["compute_us"]).mean()) * 1e-6,
        "tpot_mean_s": _mean(times.tpot_s),
        "tpot_p50_s": _percentile(times.tpot_s, 50),
        "tpot_p99_s": _percentile(times.tpot_s, 99),
        "ttft_mean_s": _mean(times.ttft_s),
        "ttft_p99_s": _percentile(times.ttft_s, 99),
        "end_to_end_mean_s": _mean(times.end_to_end_s),
    }
    quantities |= {key: float(served[key]) for key in ("elapsed_s", "stall_s", "h2d_bytes", "d2h_bytes")}
    return Run(quantities, trace, batches(trace))


def simulated(trace: Trace, table: RequestTable, model: Model) -> Run:
    """The case of `trace` on the simulated device."""
    case, shape = case_of(trace.header["case"]), geometry(trace.header["model"]["name"])
    loop, recorder = serve_recorded(
        table, model.settings, shape, model.calibration, policy=case.policy(), eviction=case.eviction
    )
    return run_of(recorder.finish({"served": serve_metrics(loop)}))


def closed_rows(trace: Trace, table: RequestTable, calibration: Calibration) -> Iterator[dict[str, Any]]:
    """One row of the simulation as it is (`ablation` empty), and one without each of its parts."""
    measured, model = run_of(trace), Model(calibration, EngineSettings(**trace.header["engine"]))
    shape = geometry(trace.header["model"]["name"])
    intact = simulated(trace, table, model)
    yield {"ablation": ""} | _compared(measured, intact, model, shape)
    for name, ablated in ablations(model):
        run = simulated(trace, table, ablated)
        # A part that this run never used proves nothing by its absence.
        matters = run.quantities != intact.quantities
        yield {"ablation": name, "matters": float(matters)} | _compared(measured, run, ablated, shape)


def _compared(measured: Run, run: Run, model: Model, shape: Geometry) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in QUANTITIES:
        one, other = measured.quantities[name], run.quantities[name]
        row |= {f"{name}_measured": one, f"{name}_simulated": other, f"{name}_error": relative(other, one)}
    steps = len(measured.batches.digest), len(run.batches.digest)
    row |= {"steps_measured": steps[0], "steps_simulated": steps[1]}
    row["schedule_distance"] = edit_distance(measured.batches.digest, run.batches.digest) / max(*steps, 1)
    predicted = predicted_s(measured.batches, model.calibration, shape)
    return row | _step_errors(measured, predicted) | _terms(measured, run, float(predicted.sum()))


def predicted_s(of: Batches, calibration: Calibration, shape: Geometry) -> np.ndarray:
    """What the cost function says of each batch, beside the loads that were under way."""
    work = zip(of.tokens.tolist(), of.context.tolist(), of.pairs.tolist(), of.loading_s.tolist(), strict=True)
    return np.array([_step_s(calibration, shape, *each) for each in work])


def _step_s(
    calibration: Calibration, shape: Geometry, tokens: float, context: float, pairs: float, loading_s: float
) -> float:
    alone_s = step_compute_s(calibration.compute, shape, int(tokens), context, pairs)
    return alone_s if pairs else alone_s + calibration.slowed_s(loading_s)


def _step_errors(measured: Run, predicted: np.ndarray) -> dict[str, float]:
    """Of the cost function at the recorded batches; `step_prompt_share`: part of the absolute error (in time) that
    steps with prompt chunks have."""
    actual = measured.trace.steps["compute_us"] * 1e-6
    off, prompts = np.abs(predicted / actual - 1), measured.batches.pairs > 0
    wrong = np.abs(predicted - actual)
    return {
        "step_mape": _mean(off),
        "step_p99": _percentile(off, 99),
        "step_bias": float(predicted.sum() / actual.sum()) - 1 if len(actual) else float("nan"),
        "step_prompt_share": float(wrong[prompts].sum() / wrong.sum()) if wrong.sum() else 0.0,
    }


def _terms(measured: Run, run: Run, predicted_s: float) -> dict[str, float]:
    """Where the error of the elapsed time comes from, each as a share of the measured one: what the cost function gets
    wrong at the recorded batches; other batches than recorded; stall; idle time."""
    elapsed = measured.quantities["elapsed_s"]
    stall = run.quantities["stall_s"] - measured.quantities["stall_s"]
    return {
        "term_steps": (predicted_s - measured.compute_s) / elapsed,
        "term_batches": (run.compute_s - predicted_s) / elapsed,
        "term_stall": stall / elapsed,
        "term_idle": (run.idle_s - measured.idle_s) / elapsed,
    }


def relative(simulated: float, measured: float) -> float:
    """Signed relative error; 0 where both are 0, infinite where only the measured value is."""
    if measured == 0:
        return 0.0 if simulated == 0 else float("inf")
    return simulated / measured - 1


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else float("nan")
