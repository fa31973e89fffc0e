"""The product of a few rows with a weight matrix: its time is that of reading the weights once.

The weights are the tall operand of the tensor cores, of which a row of the result is a column: 64 columns of weights
fill an instruction, where 16 rows of the batch would leave most of it empty. The first tile of weights is on its way
before the earlier kernels are over, since it depends on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch.nn import functional

from pagedkv.model.kernels.decode import dot_precision
from pagedkv.model.kernels.early import early, may_start_next, wait_for_earlier

MOST_ROWS = 32
"""Beyond that the library's products are as fast."""


@dataclass(frozen=True)
class ThinTuning:
    """`columns` of the result a program, summed over k by `depth` at a time."""

    columns: int
    depth: int
    warps: int
    stages: int


FEW = ThinTuning(columns=64, depth=256, warps=4, stages=4)
MANY = ThinTuning(columns=64, depth=128, warps=4, stages=5)
"""For up to 16 rows, and for more."""


@triton.jit(do_not_specialize=["rows"])
def _thin_product(
    x, weight, out, rows, columns, length, EVEN: tl.constexpr,
    ROWS: tl.constexpr, WIDE: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr, PRECISION: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    may_start_next(EARLY)
    column = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    row = tl.arange(0, ROWS)
    depth = tl.arange(0, DEPTH)
    real_column = (column < columns)[:, None]
    real_row = (row < rows)[None, :]
    weight_tile = weight + column.to(tl.int64)[:, None] * length + depth[None, :]
    x_tile = x + row[None, :] * length + depth[:, None]
    real = (depth < length) | EVEN
    w = tl.load(weight_tile, mask=real_column & real[None, :], other=0.0)
    wait_for_earlier(EARLY)
    a = tl.load(x_tile, mask=real_row & real[:, None], other=0.0)
    result = tl.dot(w, a, input_precision=PRECISION)
    for k in tl.range(DEPTH, length, DEPTH, num_stages=STAGES):
        real = (depth < length - k) | EVEN
        w = tl.load(weight_tile + k, mask=real_column & real[None, :], other=0.0)
        a = tl.load(x_tile + k, mask=real_row & real[:, None], other=0.0)
        result = tl.dot(w, a, result, input_precision=PRECISION)
    target = out + row.to(tl.int64)[None, :] * columns + column[:, None]
    tl.store(target, result.to(out.dtype.element_ty), mask=real_column & real_row)


def linear_thin(x: torch.Tensor, weight: torch.Tensor, tuning: ThinTuning | None = None) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed: [T, n], for at most 32 rows; both contiguous.

    Deterministic: no split over k. A row's bits depend only on whether there are more than 16 rows.
    """
    (rows, length), columns = x.shape, len(weight)
    tuning = tuning or (FEW if rows <= 16 else MANY)
    out = torch.empty((rows, columns), dtype=x.dtype, device=x.device)
    _thin_product[(triton.cdiv(columns, tuning.columns),)](
        x, weight, out, rows, columns, length, length % tuning.depth == 0,
        16 if rows <= 16 else 32, tuning.columns, tuning.depth, tuning.stages, dot_precision(x),
        num_warps=tuning.warps, **early(x),
    )  # fmt: skip
    return out


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed: [T, n], the fast way for its number of rows."""
    return linear_thin(x, weight) if len(x) <= MOST_ROWS else functional.linear(x, weight)
