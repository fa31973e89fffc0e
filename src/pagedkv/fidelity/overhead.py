"""What the engine adds to the steps of the model: scheduling, block tables, bookkeeping on the host between two steps.

Measured steps of a calibration are those of the model alone. The rest shows in traces that the whole engine recorded on
the same machine: what a step that only decodes took beyond the fitted cost, against its number of requests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from pagedkv import trace as traces
from pagedkv.device.calibration import read_calibration
from pagedkv.device.cost import MeasuredCost
from pagedkv.device.regression import REPLICATES, interval, rounded
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.batches import batches
from pagedkv.files import whole_file
from pagedkv.geometry import geometry
from pagedkv.trace.schema import Trace

FEWEST_STEPS = 20
"""Steps of one batch size in one trace that make a point."""


def add_overhead(calibration: Path, runs: list[Path]) -> None:
    """Fit the engine's own time to the traces `runs`, and put it into the calibration file.

    Time of a step = `engine.step_s` + `engine.request_s` * requests, in addition. A run that the calibration is to be
    checked on must not be among them. Raises PagedKVError where the traces are not of a GPU, or hold too few steps.
    """
    cost = read_calibration(calibration).compute
    if not isinstance(cost, MeasuredCost):
        raise PagedKVError(f"{calibration}: only a measured cost of steps can be added to")
    points = np.concatenate([_points(traces.read(path), cost, path) for path in runs])
    if len(np.unique(points[:, 0])) < 2:
        raise PagedKVError("the traces hold too few steps of at least two batch sizes to tell the engine's own time")
    made = json.loads(calibration.read_text())
    made["compute"]["engine"] = _fitted(points) | {"origin": f"decode steps of {', '.join(path.stem for path in runs)}"}
    made["status"] += f"; engine fitted to traces of {', '.join(path.stem for path in runs)}"
    with whole_file(calibration) as temporary:
        Path(temporary).write_text(json.dumps(made, indent=1) + "\n")


def _points(trace: Trace, cost: MeasuredCost, path: Path) -> np.ndarray:
    """(requests, median excess in s, steps) of every batch size of which the trace has enough steps."""
    if trace.header["origin"] != "cuda":
        raise PagedKVError(f"{path}: a trace of origin '{trace.header['origin']}' tells nothing about a GPU's host")
    shape, made, steps = geometry(trace.header["model"]["name"]), batches(trace), trace.steps
    plain = (made.pairs == 0) & (steps["stall_us"] == 0) & (made.tokens > 0)
    rows = zip(made.tokens[plain].tolist(), made.context[plain].tolist(), strict=True)
    predicted = np.array([cost.step_s(shape, int(tokens), context, 0.0) for tokens, context in rows])
    excess, sizes = steps["compute_us"][plain] * 1e-6 - predicted, made.tokens[plain]
    found = [(size, float(np.median(excess[sizes == size])), int((sizes == size).sum())) for size in np.unique(sizes)]
    return np.array([row for row in found if row[2] >= FEWEST_STEPS]).reshape(-1, 3)


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
