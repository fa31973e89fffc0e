"""Copies by a kernel that reads or writes pinned host memory itself, on a few SMs: an ablation, never the default.

It needs no call for each piece, so that small pieces reach the rate of the link; it takes SMs away from the model.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

from pagedkv.errors import PagedKVError

_TILE = 4096
"""Words of 8 bytes that a program has in flight: eight programs cover latency times rate of the link."""


@triton.jit(do_not_specialize=["count"])
def _copy(target, source, places, count, WORDS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Blocks of `WORDS` words; `places` int64 [2, count]: slots in `target`, then those in `source`."""
    parts: tl.constexpr = (WORDS + COLUMNS - 1) // COLUMNS
    tiles = (count + ROWS - 1) // ROWS * parts
    tile = tl.program_id(0)
    while tile < tiles:
        row = tile // parts * ROWS + tl.arange(0, ROWS)
        column = tile % parts * COLUMNS + tl.arange(0, COLUMNS)
        there = row < count
        to = tl.load(places + row, mask=there, other=0) * WORDS
        of = tl.load(places + count + row, mask=there, other=0) * WORDS
        mask = there[:, None] & (column < WORDS)[None, :]
        words = tl.load(source + of[:, None] + column[None, :], mask=mask, other=0)
        tl.store(target + to[:, None] + column[None, :], words, mask=mask)
        tile += tl.num_programs(0)


class GatherMover:
    """As `extents.ExtentMover`, by one kernel of `programs` programs, each of which fills an SM. Blocks of 8 n bytes.

    On a CPU it works in Triton's interpreter only; PagedKVError where that is not on.
    """

    def __init__(self, to_device: bool, gpu_pool: torch.Tensor, host_pool: torch.Tensor, programs: int) -> None:
        if gpu_pool.device.type != "cuda" and not triton.knobs.runtime.interpret:
            raise PagedKVError("a copy by a kernel needs a CUDA device; set TRITON_INTERPRET=1 to try it on a CPU")
        gpu, host = (pool.view(len(pool), -1).view(torch.int64) for pool in (gpu_pool, host_pool))
        self._to_device = to_device
        self._target, self._source = (gpu, host) if to_device else (host, gpu)
        self._device = gpu_pool.device
        self._programs = programs
        self._words = gpu.shape[1]
        self._columns = min(_TILE, triton.next_power_of_2(self._words))

    def __call__(self, gpu: np.ndarray, host: np.ndarray, stream: int) -> int:
        places = torch.from_numpy(np.stack([gpu, host] if self._to_device else [host, gpu]))
        if self._device.type != "cuda":
            self._launch(places)
            return 1
        with torch.cuda.stream(torch.cuda.ExternalStream(stream, device=self._device)):
            self._launch(places.pin_memory().to(self._device, non_blocking=True))
        return 2

    def _launch(self, places: torch.Tensor) -> None:
        _copy[(self._programs,)](
            self._target, self._source, places, places.shape[1],
            WORDS=self._words, ROWS=_TILE // self._columns, COLUMNS=self._columns, num_warps=32,
        )  # fmt: skip
