"""What was measured on a GPU, before anything is fitted to it: `recorded/calibration/raw.json`.

    {"provenance": {"model": name of the geometry, "device": text, ...}, "copies": [...], "steps": [...]}

A copy row sums up repeats, a step row is one repeat; the value of a step is the median of the repeats of its point.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.device.points import CHECK, FIT
from pagedkv.errors import PagedKVError

DIRECTIONS = ("h2d", "d2h", "both")
REPEATS = 10
DECILES = 2.563
"""Standard deviations between the 10th and the 90th percentile of normal noise."""


@dataclass(frozen=True)
class Copy:
    """`pieces` pieces of `piece_bytes` each took `seconds` (median, percentiles 10 and 90).

    `direction` both: as many pieces each way at once, until the last of them has arrived. `concurrent`: what the GPU
    computed meanwhile; `compute_slowdown`: time of that with the copy over its time without.
    """

    direction: str
    method: str
    piece_bytes: int
    pieces: int
    concurrent: str
    seconds: float
    p10: float
    p90: float
    compute_slowdown: float | None

    @property
    def total_bytes(self) -> int:
        """Bytes moved, those of both directions together."""
        return self.piece_bytes * self.pieces * (2 if self.direction == "both" else 1)

    @property
    def noise(self) -> float:
        """Relative standard error of `seconds`."""
        return max(0.0, self.p90 - self.p10) / DECILES / math.sqrt(REPEATS) / self.seconds


@dataclass(frozen=True)
class Step:
    """A point of the plan. `total_s`: start of a step to start of the next one, median of the repeats; `host_s`: the
    part of it in which the GPU had no kernel; `launch_s`: what the host took to launch all; `noise`: relative standard
    error of `total_s`."""

    kind: str
    split: str
    batch: int
    tokens: int
    context_tokens: int
    attention_pairs: float
    total_s: float
    host_s: float
    launch_s: float
    noise: float
    repeats: int


@dataclass(frozen=True)
class Raw:
    provenance: dict[str, Any]
    copies: list[Copy]
    steps: list[Step]


def read_raw(path: str | Path) -> Raw:
    """Read measurements and check them. Raises PagedKVError that names file, row and cause."""
    try:
        found = json.loads(Path(path).read_text())
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PagedKVError(f"{path}: no measurements: {error}") from error
    try:
        return raw_from(found)
    except PagedKVError as error:
        raise PagedKVError(f"{path}: {error}") from error


def raw_from(found: Any) -> Raw:
    """Measurements from what the file holds; PagedKVError names the row that is wrong."""
    if not isinstance(found, dict) or not isinstance(found.get("provenance"), dict):
        raise PagedKVError("no measurements: 'provenance' is missing")
    copies = [_checked(_copy, row, f"copies[{i}]") for i, row in enumerate(found.get("copies") or [])]
    repeats: dict[tuple, list[tuple[float, float, float]]] = defaultdict(list)
    for index, row in enumerate(found.get("steps") or []):
        point, times = _checked(_step, row, f"steps[{index}]")
        repeats[point].append(times)
    return Raw(found["provenance"], copies, [_median(point, np.array(times)) for point, times in repeats.items()])


def _checked(make: Any, row: Any, name: str) -> Any:
    try:
        return make(row)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PagedKVError(f"no measurements: {name}: {error}") from error


def _copy(row: dict[str, Any]) -> Copy:
    _one_of("direction", row["direction"], DIRECTIONS)
    seconds = _positive(row, "seconds")
    return Copy(
        row["direction"],
        str(row["method"]),
        _count(row, "piece_bytes"),
        _count(row, "pieces"),
        str(row.get("concurrent") or "none"),
        seconds,
        float(row.get("p10") or seconds),
        float(row.get("p90") or seconds),
        None if row.get("compute_slowdown") is None else _positive(row, "compute_slowdown"),
    )


def _step(row: dict[str, Any]) -> tuple[tuple, tuple[float, float, float]]:
    """(point, (total, exposed host time, time of launching)) of one repeat; where the GPU was not timed, `host_s` is
    taken for exposed."""
    _one_of("split", row["split"], (FIT, CHECK))
    total, gpu = _positive(row, "total_s"), row.get("gpu_s")
    launch = float(row.get("host_s") or 0.0)
    exposed = launch if gpu is None else total - float(gpu)
    context, pairs = float(row["context_tokens"]), float(row["attention_pairs"])
    if not (0 <= context < math.inf and 0 <= pairs < math.inf and math.isfinite(exposed)):
        raise ValueError("a count or time is negative or not finite")
    point = (str(row["kind"]), row["split"], _count(row, "batch"), _count(row, "tokens"), int(context), pairs)
    return point, (total, min(max(exposed, 0.0), total), 0.0 if gpu is None else launch)


def _median(point: tuple, times: np.ndarray) -> Step:
    total, exposed, launch = np.median(times, axis=0)
    # A median of normal noise has 1.25 times the error of a mean.
    error = 1.25 * float(np.std(times[:, 0])) / math.sqrt(len(times))
    return Step(*point, float(total), float(exposed), float(launch), error / float(total), len(times))


def _one_of(key: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} is '{value}', which is none of {', '.join(known)}")


def _count(row: dict[str, Any], key: str) -> int:
    value = int(row[key])
    if value < 1:
        raise ValueError(f"{key} is {value}")
    return value


def _positive(row: dict[str, Any], key: str) -> float:
    value = float(row[key])
    if not 0 < value < math.inf:
        raise ValueError(f"{key} is {value}")
    return value
