"""The product with a weight matrix whose order of summation is fixed: no split over k, no choice by a library, and the
same tiles for any number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from pagedkv.model.kernels.decode import dot_precision


@dataclass(frozen=True)
class LinearTuning:
    """Tiles of the result, rows x columns, summed over k by `depth` at a time."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int


INVARIANT = LinearTuning(rows=64, columns=64, depth=128, warps=4, stages=4)
_TALL = 8
"""Row tiles that are worked on together, for the weights' stay in the cache."""


@triton.jit(do_not_specialize=["rows"])
def _tiled_product(
    x, weight, out, rows, columns, length, EVEN: tl.constexpr,
    ROWS: tl.constexpr, WIDE: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr, TALL: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    wide_tiles = tl.cdiv(columns, WIDE)
    program = tl.program_id(0)
    first_tile = program // (wide_tiles * TALL) * TALL
    tall = tl.minimum(tl.cdiv(rows, ROWS) - first_tile, TALL)
    within = program % (wide_tiles * TALL)
    row = (first_tile + within % tall) * ROWS + tl.arange(0, ROWS)
    column = within // tall * WIDE + tl.arange(0, WIDE)
    depth = tl.arange(0, DEPTH)
    x_tile = x + row.to(tl.int64)[:, None] * length + depth[None, :]
    weight_tile = weight + column.to(tl.int64)[:, None] * length + depth[None, :]
    real_row = (row < rows)[:, None]
    real_column = (column < columns)[:, None]
    result = tl.zeros((ROWS, WIDE), tl.float32)
    for k in tl.range(0, length, DEPTH, num_stages=STAGES):
        real = ((depth < length - k) | EVEN)[None, :]
        w = tl.load(weight_tile + k, mask=real_column & real, other=0.0)
        a = tl.load(x_tile + k, mask=real_row & real, other=0.0)
        result = tl.dot(a, tl.trans(w), result, input_precision=PRECISION)
    target = out + row.to(tl.int64)[:, None] * columns + column[None, :]
    tl.store(target, result.to(out.dtype.element_ty), mask=real_row & (column < columns)[None, :])


def linear_invariant(x: torch.Tensor, weight: torch.Tensor, tuning: LinearTuning = INVARIANT) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed: [T, n]; both contiguous. A row's bits depend on that row alone."""
    (rows, k), columns = x.shape, len(weight)
    out = torch.empty((rows, columns), dtype=x.dtype, device=x.device)
    grid = (triton.cdiv(rows, tuning.rows) * triton.cdiv(columns, tuning.columns),)
    _tiled_product[grid](
        x, weight, out, rows, columns, k, k % tuning.depth == 0,
        tuning.rows, tuning.columns, tuning.depth, tuning.stages, _TALL, dot_precision(x), num_warps=tuning.warps,
    )  # fmt: skip
    return out
