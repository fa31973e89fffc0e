"""The product of up to 64 rows with a weight matrix, cut over k as well: its time is that of reading the weights once.

A matrix of 4,096 columns has too few tiles to keep every multiprocessor reading, so that k is cut into parts, and each
part of the result is written by itself, in float32. Whoever reads the result adds the parts up, always in the same
order: that is deterministic, and costs neither a kernel nor a wait. All programs are meant to be resident at once,
where they share the memory's rate evenly, however many there are.

Weights are the tall operand of the tensor cores, of which a row of the result is a column: 64 columns of weights fill
an instruction, where 16 rows of the batch would leave most of it empty. A program asks for its first weights to be
brought into the L2 cache before it waits for the kernels before it: the memory stays busy where one kernel ends and the
next begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from pagedkv.model.kernels.decode import dot_precision
from pagedkv.model.kernels.early import NO, fetch_ahead, launch, may_start_next, may_start_next_at_end, wait_for_earlier


@dataclass(frozen=True)
class SlabTuning:
    """`columns` of the result and one of `parts` of k a program, summed by `depth` at a time.

    Tiles have the next power of two of columns, but read no more than these: 56 cut 14,336 into 256 pieces, two for
    almost every one of 132 multiprocessors.
    """

    columns: int
    depth: int
    parts: int
    warps: int
    stages: int
    descriptors: bool = False
    """Tiles are read by the tensor memory accelerator, whole ones. Needs rows of weights that are multiples of 16
    bytes."""
    early: int = NO
    ahead: int = 0
    """Bytes of each row of weights that are asked for before the wait; with early launch only, and not with gates."""


@triton.jit(do_not_specialize=["rows"])
def _slab_product(
    x, weight, x_tiles, weight_tiles, out, rows, columns, length, share, piece,
    EVEN: tl.constexpr, DESCRIPTORS: tl.constexpr, PIECES: tl.constexpr, GATED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDE: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr,
    PRECISION: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    may_start_next(EARLY)
    first_column = tl.program_id(0) * COLUMNS
    part = tl.program_id(1)
    begin = part * share
    end = tl.minimum(begin + share, length)
    column = first_column + tl.arange(0, WIDE)
    row = tl.arange(0, ROWS)
    depth = tl.arange(0, DEPTH)
    if EVEN and COLUMNS == WIDE:
        real_column = tl.full((WIDE,), True, tl.int1)
    else:
        real_column = (tl.arange(0, WIDE) < COLUMNS) & (column < columns)
    if PIECES > 0:
        number = tl.arange(0, WIDE * PIECES)
        asked = first_column + tl.minimum(number // PIECES, COLUMNS - 1)
        places = weight + asked.to(tl.int64) * length + begin + number % PIECES * piece
        fetch_ahead(places, piece)
    wait_for_earlier(EARLY)
    real_row = row < rows
    weight_tile = weight + column.to(tl.int64)[:, None] * length + depth[None, :]
    up_tile = weight_tile + columns.to(tl.int64) * length
    x_tile = x + row[None, :] * length + depth[:, None]
    result = tl.zeros((WIDE, ROWS), tl.float32)
    up = tl.zeros((WIDE, ROWS), tl.float32)
    for k in tl.range(begin, end, DEPTH, num_stages=STAGES):
        if DESCRIPTORS:
            w = weight_tiles.load([first_column, k])
            a = x_tiles.load([0, k]).T
            if GATED:
                u = weight_tiles.load([columns + first_column, k])
        else:
            real = (depth < end - k) | EVEN
            w = tl.load(weight_tile + k, mask=real_column[:, None] & real[None, :], other=0.0)
            a = tl.load(x_tile + k, mask=real_row[None, :] & real[:, None], other=0.0)
            if GATED:
                u = tl.load(up_tile + k, mask=real_column[:, None] & real[None, :], other=0.0)
        result = tl.dot(w, a, result, input_precision=PRECISION)
        if GATED:
            up = tl.dot(u, a, up, input_precision=PRECISION)
    may_start_next_at_end(EARLY)
    if GATED:
        result = result / (1.0 + tl.exp(-result)) * up
    target = out + (part * rows + row[None, :]).to(tl.int64) * columns + column[:, None]
    tl.store(target, result.to(out.dtype.element_ty), mask=real_column[:, None] & real_row[None, :])


def linear_slab(x: torch.Tensor, weight: torch.Tensor, tuning: SlabTuning, gated: bool = False) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed, for at most 64 rows; both contiguous.

    With one part [T, n]; with more float32 [parts, T, n], whose sum over the parts is the product. Deterministic.
    `gated`, with one part: the first half of the columns are gates, the others ups; returns silu(gate) * up [T, n / 2].
    """
    (rows, length), columns = x.shape, len(weight) // (2 if gated else 1)
    padded = 16 if rows <= 16 else 32 if rows <= 32 else 64
    wide = triton.next_power_of_2(tuning.columns)
    share, parts = _cut(length, tuning)
    even = length % tuning.depth == 0 and columns % tuning.columns == 0
    if parts == 1:
        out = torch.empty((rows, columns), dtype=x.dtype, device=x.device)
    else:
        out = torch.empty((parts, rows, columns), dtype=torch.float32, device=x.device)
    tiles = x, weight  # unused then
    if tuning.descriptors:
        tiles = (
            TensorDescriptor.from_tensor(x, [padded, tuning.depth]),
            TensorDescriptor.from_tensor(weight, [wide, tuning.depth]),
        )
    options, pieces, piece = launch(x, tuning.early), 0, 0
    if options["EARLY"] and even and tuning.ahead and not gated:
        pieces = max(1, tuning.warps * 32 // wide)
        least = length - (parts - 1) * share
        piece = min(tuning.ahead // x.element_size(), least) // pieces
    _slab_product[(triton.cdiv(columns, tuning.columns), parts)](
        x, weight, *tiles, out, rows, columns, length, share, piece, even, tuning.descriptors, pieces, gated,
        padded, tuning.columns, wide, tuning.depth, tuning.stages, dot_precision(x), num_warps=tuning.warps, **options,
    )  # fmt: skip
    return out


def _cut(length: int, tuning: SlabTuning) -> tuple[int, int]:
    """How much of k each part but the last has, whole steps of the loop, and how many parts that makes."""
    steps = triton.cdiv(length, tuning.depth)
    share = triton.cdiv(steps, tuning.parts)
    return share * tuning.depth, triton.cdiv(steps, share)
