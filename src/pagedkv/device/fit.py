"""A calibration from measurements: constants with intervals, and how far off they are on steps they never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.device.calibration import calibration_from
from pagedkv.device.cost import MeasuredCost
from pagedkv.device.fit_copies import METHOD, fit_copies, predicted_s
from pagedkv.device.fit_steps import fit_steps
from pagedkv.device.points import CHECK, FIT
from pagedkv.device.raw import Raw, Step, read_raw
from pagedkv.device.regression import REPLICATES, rounded
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file
from pagedkv.geometry import geometry

SECTIONS = {"h2d": "host_to_device", "d2h": "device_to_host"}


def fit(raw: Raw, name: str = "measured", replicates: int = REPLICATES) -> dict[str, Any]:
    """What a calibration file holds. Fitted to the points of split `fit` only; `errors` are stated for both splits.

    Raises PagedKVError where what was measured does not suffice.
    """
    model = raw.provenance.get("model")
    if not isinstance(model, str):
        raise PagedKVError("provenance.model, the geometry that was measured, is missing")
    made = {
        "name": name,
        "status": "measured on this engine",
        "device": str(raw.provenance.get("device", "unknown")),
        **fit_copies(raw.copies, replicates),
        "compute": fit_steps([step for step in raw.steps if step.split == FIT], geometry(model).name, replicates),
    }
    cost = calibration_from(made).compute
    errors = {split: _errors([step for step in raw.steps if step.split == split], cost) for split in (FIT, CHECK)}
    return {**made, "errors": {**errors, "copies": _copy_errors(raw, made)}, "provenance": raw.provenance}


def fit_file(raw_path: str | Path, out_path: str | Path) -> dict[str, Any]:
    """Fit the measurements of a file and write the calibration, which is returned too."""
    raw = read_raw(raw_path)
    try:
        made = fit(raw, Path(out_path).stem)
    except PagedKVError as error:
        raise PagedKVError(f"{raw_path}: {error}") from error
    made["status"] = f"measured on this engine; fitted to {Path(raw_path).name}, sha256 {sha256_of(raw_path)}"
    with whole_file(out_path) as temporary:
        temporary.write_text(json.dumps(made, indent=1) + "\n")
    return made


def relative_error(step: Step, cost: MeasuredCost) -> float:
    """(predicted - measured) / measured time of a step."""
    predicted = cost.step_s(geometry(cost.model), step.tokens, step.context_tokens, step.attention_pairs)
    return predicted / step.total_s - 1


def _errors(steps: list[Step], cost: MeasuredCost) -> dict[str, Any]:
    """By kind of step, and of all."""
    kinds = {"all": steps} | {kind: [s for s in steps if s.kind == kind] for kind in sorted({s.kind for s in steps})}
    return {kind: _summary([relative_error(step, cost) for step in of_kind]) for kind, of_kind in kinds.items()}


def _summary(errors: list[float]) -> dict[str, Any]:
    """Mean absolute, worst absolute, and signed mean of relative errors."""
    if not errors:
        return {"points": 0}
    found = {"mape": np.abs(errors).mean(), "worst": np.abs(errors).max(), "mean": np.mean(errors)}
    return {"points": len(errors), **{key: rounded(value) for key, value in found.items()}}


def _copy_errors(raw: Raw, made: dict[str, Any]) -> dict[str, Any]:
    own = [c for c in raw.copies if c.concurrent == "none" and c.method == METHOD]
    errors = {
        direction: [predicted_s(c, made[section]) / c.seconds - 1 for c in own if c.direction == direction]
        for direction, section in SECTIONS.items()
    }
    return {direction: _summary(found) for direction, found in errors.items()}
