"""What the simulated device charges for a copy and for a step, read from a file under `recorded/calibration/`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pagedkv.device.cost import ComputeCost, EngineCost, MeasuredCost, PathCost, Table
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry


@dataclass(frozen=True)
class CopyCost:
    """Time of one submission of n pieces of m bytes each: submit_s + n * (piece_s(m) + m / bytes_per_s)."""

    bytes_per_s: float
    submit_s: float
    piece_s: tuple[tuple[int, float], ...]

    def piece_overhead_s(self, piece_bytes: int) -> float:
        """Per-piece cost, linear in log(size) between the calibrated sizes and constant outside them."""
        points = self.piece_s
        if piece_bytes <= points[0][0]:
            return points[0][1]
        for (low, at_low), (high, at_high) in zip(points, points[1:], strict=False):
            if piece_bytes <= high:
                share = math.log(piece_bytes / low) / math.log(high / low)
                return at_low + share * (at_high - at_low)
        return points[-1][1]

    def each_s(self, piece_bytes: int) -> float:
        """Time that one more piece adds to a submission."""
        return self.piece_overhead_s(piece_bytes) + piece_bytes / self.bytes_per_s

    def scaled(self, factor: float) -> CopyCost:
        """The cost of a link `factor` times as fast in every term; infinity makes it free."""
        return CopyCost(
            self.bytes_per_s * factor,
            self.submit_s / factor,
            tuple((size, cost / factor) for size, cost in self.piece_s),
        )


@dataclass(frozen=True)
class Calibration:
    name: str
    status: str
    device: str
    host_to_device: CopyCost
    device_to_host: CopyCost
    both_directions_bytes_per_s: float
    compute: ComputeCost | MeasuredCost
    compute_slowdown: float = 1.0
    """Factor by which a step slows down while a copy runs beside it; 1 where nobody measured it."""

    @property
    def contention(self) -> float:
        """Share of its own rate that a direction keeps while the other one is busy."""
        alone = self.host_to_device.bytes_per_s + self.device_to_host.bytes_per_s
        return min(1.0, self.both_directions_bytes_per_s / alone)

    def slowed_s(self, beside_s: float) -> float:
        """What a step that only decodes takes longer because loads arrive beside it for `beside_s`."""
        return (self.compute_slowdown - 1.0) * beside_s + self.compute.loading_s if beside_s > 0 else 0.0


def _number(section: dict, key: str) -> float:
    """A time (`_s`) or a rate: finite and not negative; a rate, which is divided by, is not zero either."""
    value = float(section[key])
    if not 0 <= value < math.inf or (value == 0 and key.endswith("per_s")):
        raise ValueError(f"{key} is {value}")
    return value


def _points(section: dict, key: str, unit: str) -> tuple[tuple[int, float], ...]:
    """A table of (unit, seconds)."""
    points = tuple((int(at), float(seconds)) for at, seconds in section[key])
    at = [at for at, _ in points]
    if not at or at[0] < 1 or sorted(set(at)) != at or not all(0 <= s < math.inf for _, s in points):
        raise ValueError(f"{key} is a list of ({unit}, seconds) with growing {unit}")
    return points


def _copy_cost(entry: dict) -> CopyCost:
    return CopyCost(_number(entry, "bytes_per_s"), _number(entry, "submit_s"), _points(entry, "piece_s", "bytes"))


def _path_cost(entry: dict) -> PathCost:
    tables = (Table(_points(entry, key, "tokens")) for key in ("step_s", "context_s"))
    rest = {name: _number(entry, name) for name in ("pair_s", "launch_s") if name in entry}
    return PathCost(_number(entry, "host_s"), *tables, **rest)


def _compute_cost(entry: dict) -> ComputeCost | MeasuredCost:
    """A roofline, unless `kind` says that the steps were measured."""
    kind = entry.get("kind", "roofline")
    if kind == "measured":
        paths = (_path_cost(entry[name]) for name in ("decode", "mixed"))
        added = entry.get("engine", {})
        engine = {name: _number(added, name) for name in ("step_s", "request_s", "loading_s") if name in added}
        return MeasuredCost(str(entry["model"]), *paths, EngineCost(**engine))
    if kind != "roofline":
        raise ValueError(f"compute of kind '{kind}' is unknown; known are roofline, measured")
    return ComputeCost(**{key: _number(entry, key) for key in entry if key not in ("kind", "origin")})


def _slowdown(raw: dict) -> float:
    factor = _number(raw, "compute_slowdown") if "compute_slowdown" in raw else 1.0
    if factor < 1:
        raise ValueError(f"compute_slowdown is {factor}")
    return factor


def calibration_from(raw: dict) -> Calibration:
    """A calibration from what a file holds; an error that `read_calibration` words where it is none."""
    return Calibration(
        raw["name"],
        raw["status"],
        raw["device"],
        _copy_cost(raw["host_to_device"]),
        _copy_cost(raw["device_to_host"]),
        _number(raw, "both_directions_bytes_per_s"),
        _compute_cost(raw["compute"]),
        _slowdown(raw),
    )


def read_calibration(path: str | Path) -> Calibration:
    """Read and check a calibration file. Raises PagedKVError that names file and cause."""
    try:
        return calibration_from(json.loads(Path(path).read_text()))
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise PagedKVError(f"{path}: not a calibration: {error}") from error


def step_compute_s(
    cost: ComputeCost | MeasuredCost,
    geometry: Geometry,
    tokens: int,
    context_tokens: float,
    attention_pairs: float = 0.0,
) -> float:
    """Time of a step, affine in its context as long as its tokens stay (`engine/leap.py` relies on it).

    `tokens`: tokens computed in the step; `context_tokens`: sum over its requests of the tokens whose KV attention
    reads; `attention_pairs`: sum over prefill chunks of query tokens x tokens attended, 0 in a step that only decodes.
    """
    return cost.step_s(geometry, tokens, context_tokens, attention_pairs)
