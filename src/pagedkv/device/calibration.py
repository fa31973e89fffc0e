"""What the simulated device charges for a copy and for a step, read from a file under `recorded/calibration/`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

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
class ComputeCost:
    """Roofline of a step: weights and KV stream from memory, tokens and attention cost arithmetic."""

    memory_bytes_per_s: float
    flops_per_s: float
    step_overhead_s: float


@dataclass(frozen=True)
class Calibration:
    name: str
    status: str
    device: str
    host_to_device: CopyCost
    device_to_host: CopyCost
    both_directions_bytes_per_s: float
    compute: ComputeCost

    @property
    def contention(self) -> float:
        """Share of its own rate that a direction keeps while the other one is busy."""
        alone = self.host_to_device.bytes_per_s + self.device_to_host.bytes_per_s
        return min(1.0, self.both_directions_bytes_per_s / alone)


def _number(section: dict, key: str) -> float:
    """A time (`_s`) or a rate: finite and not negative; a rate, which is divided by, is not zero either."""
    value = float(section[key])
    if not 0 <= value < math.inf or (value == 0 and key.endswith("per_s")):
        raise ValueError(f"{key} is {value}")
    return value


def _copy_cost(entry: dict) -> CopyCost:
    pieces = tuple((int(size), float(cost)) for size, cost in entry["piece_s"])
    sizes = [size for size, _ in pieces]
    if not sizes or sizes[0] < 1 or sorted(set(sizes)) != sizes or not all(0 <= c < math.inf for _, c in pieces):
        raise ValueError("piece_s is a list of (bytes, seconds) with growing bytes")
    return CopyCost(_number(entry, "bytes_per_s"), _number(entry, "submit_s"), pieces)


def _compute_cost(entry: dict) -> ComputeCost:
    return ComputeCost(**{key: _number(entry, key) for key in entry if key != "origin"})


def read_calibration(path: str | Path) -> Calibration:
    """Read and check a calibration file. Raises PagedKVError that names file and cause."""
    try:
        raw = json.loads(Path(path).read_text())
        return Calibration(
            raw["name"],
            raw["status"],
            raw["device"],
            _copy_cost(raw["host_to_device"]),
            _copy_cost(raw["device_to_host"]),
            _number(raw, "both_directions_bytes_per_s"),
            _compute_cost(raw["compute"]),
        )
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PagedKVError(f"{path}: not a calibration: {error}") from error


def step_compute_s(
    cost: ComputeCost, geometry: Geometry, tokens: int, context_tokens: float, attention_pairs: float = 0.0
) -> float:
    """Roofline time of a step.

    `tokens`: tokens computed in the step; `context_tokens`: sum over its requests of the tokens whose KV attention
    reads; `attention_pairs`: sum over prefill chunks of query tokens x tokens attended. Affine in tokens and in
    context as long as the step stays on one side of the roofline.
    """
    weights = geometry.weight_bytes / cost.memory_bytes_per_s
    products = 2 * geometry.matmul_parameters * tokens / cost.flops_per_s
    kv_read = geometry.token_bytes * context_tokens / cost.memory_bytes_per_s
    attention = 4 * geometry.layers * geometry.heads * geometry.head_dim * attention_pairs / cost.flops_per_s
    return cost.step_overhead_s + max(weights, products) + kv_read + attention
