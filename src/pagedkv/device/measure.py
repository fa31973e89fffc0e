"""Times of copies: by size, number, direction and method, alone and beside compute. Raw material of a calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pagedkv.device.copies import TO_DEVICE, TO_HOST, Copy, CopyStream
from pagedkv.device.pinned import PinnedPool
from pagedkv.device.points import CopyPoint
from pagedkv.device.timeline import Timeline

REPEATS = 10
WARM_UP = 2
BESIDE_COPIES = 16
"""Copies in a row beside compute. Those that end before it are timed."""
BESIDE_RUNS = 3
COVERED = 0.6
"""Compute beside copies is sized to this share of their time, so that there are copies beside all of it."""
GATE_CYCLES = 20_000_000
"""What starts together is held back for about 10 ms, until the host has enqueued it."""
CPU_BYTES = 1 << 20
"""Largest copy that is measured on a CPU, where it only proves the path."""

Compute = Callable[[], Any]


def copy_rates(
    where: torch.device | str,
    points: Sequence[CopyPoint],
    progress: Callable[[str], None] = lambda text: None,
    repeats: int = REPEATS,
    beside: Mapping[str, Compute] | None = None,
) -> list[dict[str, Any]]:
    """One row a point: its fields, whether it was `scattered`, `seconds` (median), `p10`, `p90`, `gb_s` of all bytes
    moved, and `compute_slowdown`, the time of compute with copies beside it over that without (None when alone).

    A copy alone is timed from an idle queue, the host's work of submitting it included, as the engine meets it. Copies
    in both directions, and those beside compute, start together once they have been enqueued. Points call compute by
    name (`concurrent`): `matmul` and `stream` are known here, others are calls in `beside` that enqueue some of it on
    the current stream. A point whose compute nobody knows is left out, and on a CPU so are kernels that copy, and
    copies of more than 1 MiB.
    """
    where = torch.device(where)
    computes = _computes(where, {point.concurrent for point in points}) | dict(beside or {})
    points = [point for point in points if _measurable(where, point, computes)]
    if not points:
        return []
    size = max(_rows_of_pool(point) * point.piece_bytes for point in points)
    gpu = torch.zeros(size, dtype=torch.uint8, device=where)
    rows = []
    with PinnedPool(1, size, where) as host:
        bench = _Bench(where, Timeline(where), repeats)
        for point in points:
            progress(f"copy {point.direction} by {point.method}: {point.pieces} x {point.piece_bytes} B")
            submits = _submits(point, gpu, host.tensor.view(-1))
            seconds, slowdown = bench.alone(submits), None
            if point.concurrent != "none":
                seconds, slowdown = bench.beside(submits, computes[point.concurrent], float(np.median(seconds)))
            rows.append(_row(point, seconds, slowdown))
        bench.wait()
    return rows


def _measurable(where: torch.device, point: CopyPoint, computes: Mapping[str, Compute]) -> bool:
    small = point.pieces * point.piece_bytes <= CPU_BYTES and not point.method.startswith("gather")
    return (where.type == "cuda" or small) and point.concurrent in ("none", *computes)


def _ways(point: CopyPoint) -> tuple[str, ...]:
    return (TO_DEVICE, TO_HOST) if point.direction == "both" else (point.direction,)


def _rows_of_pool(point: CopyPoint) -> int:
    """Twice the pieces that travel, so that they lie scattered; a single one needs no more than its own place."""
    return len(_ways(point)) * point.pieces * (2 if point.pieces > 1 else 1)


def _row(point: CopyPoint, seconds: np.ndarray, slowdown: float | None) -> dict[str, Any]:
    median, low, high = (float(np.percentile(seconds, q)) for q in (50, 10, 90))
    return {
        "direction": point.direction,
        "method": point.method,
        "piece_bytes": point.piece_bytes,
        "pieces": point.pieces,
        "scattered": point.pieces > 1,
        "concurrent": point.concurrent,
        "seconds": median,
        "p10": low,
        "p90": high,
        "gb_s": len(_ways(point)) * point.pieces * point.piece_bytes / median / 1e9,
        "compute_slowdown": slowdown,
    }


Submit = Callable[[Iterable[Any]], Copy]
"""Submits the copy of a point in one direction, after some marks."""


def _submits(point: CopyPoint, gpu: torch.Tensor, host: torch.Tensor) -> list[Submit]:
    """One for each direction, which share no byte. `gpu`, `host`: flat memory for the pools."""
    count, ways = _rows_of_pool(point), _ways(point)
    pools = [memory[: count * point.piece_bytes].view(count, point.piece_bytes) for memory in (gpu, host)]
    rng = np.random.default_rng(0)
    slots, places = (rng.permutation(count).reshape(len(ways), -1)[:, : point.pieces] for _ in pools)

    def submit(stream: CopyStream, slots: np.ndarray, places: np.ndarray) -> Submit:
        return lambda after: stream.submit(slots, places, after)

    return [submit(CopyStream(way, *pools, point.method), slots[i], places[i]) for i, way in enumerate(ways)]


@dataclass(frozen=True)
class _Bench:
    """Times what is submitted to copy queues, and compute on the current stream."""

    where: torch.device
    timeline: Timeline
    repeats: int

    def wait(self) -> None:
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)

    def alone(self, submits: list[Submit]) -> np.ndarray:
        """Seconds of each repeat, from the first start to the last end."""
        return np.array([self._once(submits) for _ in range(WARM_UP + self.repeats)][WARM_UP:])

    def _once(self, submits: list[Submit]) -> float:
        self.wait()
        gate = self._gate() if len(submits) > 1 else ()
        copies = [submit(gate) for submit in submits]
        self.wait()
        first = copies[0].start
        starts = [self.timeline.between(first, copy.start) for copy in copies]
        ends = [self.timeline.between(first, copy.end) for copy in copies]
        return max(ends) - min(starts)

    def beside(self, submits: list[Submit], compute: Compute, copy_s: float) -> tuple[np.ndarray, float]:
        """(seconds of copies beside compute, slow-down of compute beside copies). `copy_s`: time of a copy alone."""
        self._compute_s(compute, 1)
        calls = max(1, round(COVERED * BESIDE_COPIES * copy_s / (self._compute_s(compute, 4) / 4)))
        alone = float(np.median([self._compute_s(compute, calls) for _ in range(BESIDE_RUNS)]))
        seconds, slowdowns = [], []
        for _ in range(BESIDE_RUNS):
            gate = self._gate()
            # Compute first: where copies take a call each, they fill their queue, and the host waits until it moves.
            begin, end = self._compute(compute, calls, gate)
            copies = [submit(gate) for _ in range(BESIDE_COPIES) for submit in submits]
            self.wait()
            slowdowns.append(self.timeline.between(begin, end) / alone)
            covered = [copy.seconds for copy in copies if self.timeline.between(copy.end, end) >= 0]
            seconds += covered or [copies[0].seconds]
        return np.array(seconds), float(np.median(slowdowns))

    def _compute_s(self, compute: Compute, calls: int) -> float:
        begin, end = self._compute(compute, calls, self._gate())
        self.wait()
        return self.timeline.between(begin, end)

    def _compute(self, compute: Compute, calls: int, gate: Iterable[Any]) -> tuple[Any, Any]:
        """Marks around `calls` calls behind a gate."""
        for mark in gate:
            self.timeline.fence(mark)
        begin = self.timeline.mark()
        for _ in range(calls):
            compute()
        return begin, self.timeline.mark()

    def _gate(self) -> tuple[Any, ...]:
        """A mark that passes in a while."""
        if self.where.type != "cuda":
            return ()
        with torch.cuda.stream(torch.cuda.Stream(self.where)):
            torch.cuda._sleep(GATE_CYCLES)
            return (self.timeline.mark(),)


def _computes(where: torch.device, wanted: set[str]) -> dict[str, Compute]:
    """Compute beside which copies are measured: a matrix product, and a kernel that only reads."""
    makers = {"matmul": _matmul, "stream": _stream}
    return {name: make(where) for name, make in makers.items() if name in wanted}


def _matmul(where: torch.device) -> Compute:
    """0.55 Tflop in bfloat16 on a GPU, below a millisecond."""
    size, dtype = (8192, torch.bfloat16) if where.type == "cuda" else (64, torch.float32)
    left = torch.ones(size, size // 2, device=where, dtype=dtype)
    right, out = left.T.contiguous(), torch.empty(size, size, device=where, dtype=dtype)
    return lambda: torch.mm(left, right, out=out)


def _stream(where: torch.device) -> Compute:
    """Reads 1 GiB of GPU memory."""
    if where.type != "cuda":
        return torch.ones(1 << 12).sum
    from pagedkv.model.kernels.stream import read_all

    values = torch.zeros(1 << 28, dtype=torch.int32, device=where)
    programs = 8 * torch.cuda.get_device_properties(where).multi_processor_count
    sums = torch.empty(programs, dtype=torch.int32, device=where)
    return lambda: read_all(values, sums, 8192, 8)
