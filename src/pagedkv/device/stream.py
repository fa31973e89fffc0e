"""How fast the device reads its memory: the limit that decode steps are held against."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

GIB = 1 << 30
BLOCKS = ((2048, 4), (4096, 4), (4096, 8), (8192, 8), (8192, 16))
"""(elements a program reads at a time, warps) that are tried; the best one counts."""
PROGRAMS_PER_SM = (4, 8, 16)


def streaming_rate(where: str, size: int = 4 * GIB) -> float:
    """Best rate, in bytes/s, at which a kernel that only reads goes through `size` bytes, far more than the cache.

    Each program sums its share and writes one number. On a CPU the rate of torch's sum, over a thousandth of that.
    """
    if where == "cpu":
        values = torch.ones(size // 4000)
        began = time.perf_counter()
        values.sum()
        return values.nbytes / (time.perf_counter() - began)
    from pagedkv.model.kernels.stream import read_all

    values = torch.randint(-9, 9, (size // 4,), dtype=torch.int32, device=where)
    programs = torch.cuda.get_device_properties(values.device).multi_processor_count
    best = float("inf")
    for block, warps in BLOCKS:
        for each in PROGRAMS_PER_SM:
            sums = torch.empty(programs * each, dtype=torch.int32, device=where)
            best = min(best, _seconds(lambda: read_all(values, sums, block, warps)))  # noqa: B023  # called at once
    return values.nbytes / best


def _seconds(call: Callable[[], object]) -> float:
    """Median time of a call on the current stream."""
    times = []
    for _ in range(8):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3)
    return sorted(times[2:])[len(times[2:]) // 2]
