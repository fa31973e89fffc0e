"""What the engine adds to the steps of the model: scheduling, block tables, bookkeeping on the host between two steps.

Measured steps of a calibration are those of the model alone. The rest shows in traces that the whole engine recorded on
the same machine: what a step that only decodes took beyond the fitted cost, against its number of requests; and what
is left of that for a step beside which loads arrived the whole time, after the slow-down of its kernels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from pagedkv import trace as traces
from pagedkv.device.calibration import Calibration, read_calibration
from pagedkv.device.cost import EngineCost, MeasuredCost
from pagedkv.device.regression import REPLICATES, interval, median_fit, rounded
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.batches import batches
from pagedkv.files import whole_file
from pagedkv.geometry import geometry
from pagedkv.trace.schema import Trace

FEWEST_STEPS = 20
"""Steps of one batch size in one trace that make a point."""
BESIDE = 0.95
"""Share of a step during which loads are under way, from which on they count as beside all of it."""


def add_overhead(calibration: Path, runs: list[Path]) -> None:
    """Fit the engine's own time to the traces `runs`, and put it into the calibration file.

    Time of a step = `engine.step_s` + `engine.request_s` * requests, in addition, from runs without a prefetcher; and
    `engine.loading_s` beside loads, from runs with one. A run that the calibration is to be checked on must not be
    among them. Raises PagedKVError where the traces are not of a GPU, or hold too few steps.
    """
    costs = read_calibration(calibration)
    if not isinstance(costs.compute, MeasuredCost):
        raise PagedKVError(f"{calibration}: only a measured cost of steps can be added to")
    read = {path: _on_gpu(path) for path in runs}
    plain = {path: trace for path, trace in read.items() if trace.header["policy"]["prefetch"] == "none"}
    points = np.concatenate([np.zeros((0, 3)), *(_points(_excess(trace, costs)) for trace in plain.values())])
    if len(np.unique(points[:, 0])) < 2:
        raise PagedKVError("the traces hold too few steps of at least two batch sizes to tell the engine's own time")
    engine = _fitted(points) | {"origin": f"decode steps of {', '.join(path.stem for path in plain)}"}
    made = json.loads(calibration.read_text())
    made["compute"]["engine"] = engine
    loading = {path: trace for path, trace in read.items() if path not in plain}
    if loading:
        own = replace(costs.compute, engine=EngineCost(engine["step_s"], engine["request_s"]))
        engine |= _beside(loading, replace(costs, compute=own))
    made["status"] += f"; engine fitted to traces of {', '.join(path.stem for path in runs)}"
    with whole_file(calibration) as temporary:
        Path(temporary).write_text(json.dumps(made, indent=1) + "\n")


def _on_gpu(path: Path) -> Trace:
    trace = traces.read(path)
    if trace.header["origin"] != "cuda":
        raise PagedKVError(f"{path}: a trace of origin '{trace.header['origin']}' tells nothing about a GPU's host")
    return trace


@dataclass(frozen=True)
class _Excess:
    """Steps that only decode and did not stall: requests, predicted and additional time, share of it beside loads."""

    sizes: np.ndarray
    predicted_s: np.ndarray
    excess_s: np.ndarray
    loading: np.ndarray


def _excess(trace: Trace, costs: Calibration) -> _Excess:
    shape, made, steps = geometry(trace.header["model"]["name"]), batches(trace), trace.steps
    plain = (made.pairs == 0) & (steps["stall_us"] == 0) & (made.tokens > 0)
    rows = zip(made.tokens[plain].tolist(), made.context[plain].tolist(), strict=True)
    predicted = np.array([costs.compute.step_s(shape, int(tokens), context, 0.0) for tokens, context in rows])
    compute_s = steps["compute_us"][plain] * 1e-6
    return _Excess(made.tokens[plain], predicted, compute_s - predicted, made.loading_s[plain] / compute_s)


def _points(steps: _Excess) -> np.ndarray:
    """(requests, median excess in s, steps) of every batch size of which the trace has enough steps."""
    sizes, excess = steps.sizes, steps.excess_s
    found = [(size, float(np.median(excess[sizes == size])), int((sizes == size).sum())) for size in np.unique(sizes)]
    return np.array([row for row in found if row[2] >= FEWEST_STEPS]).reshape(-1, 3)


def _beside(runs: dict[Path, Trace], costs: Calibration) -> dict[str, Any]:
    """`loading_s`: median of what steps beside loads take beyond engine and slow-down."""
    left = []
    for trace in runs.values():
        steps = _excess(trace, costs)
        beside = steps.loading >= BESIDE
        left.append((steps.excess_s - (costs.compute_slowdown - 1.0) * steps.predicted_s)[beside])
    excess = np.concatenate(left)
    if len(excess) < FEWEST_STEPS:
        raise PagedKVError(f"the traces hold {len(excess)} steps beside loads, but {FEWEST_STEPS} are needed")
    fit = median_fit(np.maximum(excess, 0.0), REPLICATES)
    found = interval(fit.costs[0], fit.samples[:, 0])
    origin = f"median of {len(excess)} steps beside loads of {', '.join(path.stem for path in runs)}"
    return {"loading_s": rounded(found["value"]), "loading_fit": found, "loading_origin": origin}


def _fitted(points: np.ndarray) -> dict[str, Any]:
    """Non-negative least squares over the points, each as heavy as the root of its steps, with bootstrap intervals."""
    rng = np.random.default_rng(0)
    costs = _solve(points)
    samples = np.array([_solve(points[rng.integers(0, len(points), len(points))]) for _ in range(REPLICATES)])
    names = ("step_s", "request_s")
    fit = {name: interval(cost, samples[:, i]) for i, (name, cost) in enumerate(zip(names, costs, strict=True))}
    return {name: rounded(each["value"]) for name, each in fit.items()} | {"fit": fit, "points": len(points)}


def _solve(points: np.ndarray) -> np.ndarray:
    weight = points[:, 2] ** 0.25
    columns = np.column_stack([np.ones(len(points)), points[:, 0]]) * weight[:, None]
    return nnls(columns, points[:, 1] * weight)[0]
