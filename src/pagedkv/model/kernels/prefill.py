"""Causal attention of any number of new tokens a request to its paged context (FlashAttention-2, Dao 2023).

A query row's bits depend on its own request up to its own token only: every row meets the KV tiles from position 0 on
in the same order, whichever rows share its tile, and a tile that is masked for a row changes nothing of that row,
exactly. So they depend neither on the batch nor on how a prompt is cut into steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.kernels.decode import LOG2_E, dot_precision
from pagedkv.model.step import Rows


@dataclass(frozen=True)
class PrefillTuning:
    """How the work is cut; results of different tunings may differ in rounding."""

    rows: int = 128
    """Query rows of a program: tokens times the heads that share a KV head, so that these share its tiles too."""
    tile: int = 64
    """KV tokens at a time."""
    warps: int = 8
    stages: int = 3


@triton.jit(do_not_specialize=["layer", "width"])
def _attend_causally(
    q, pool, tables, query_start, context, out, layer, width, scale,
    LAYERS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, GROUP_ROWS: tl.constexpr, D: tl.constexpr,
    BLOCK: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr, STAGES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    TOKENS: tl.constexpr = ROWS // GROUP_ROWS
    request = tl.program_id(2).to(tl.int64)
    kv_head = tl.program_id(1)
    # The last tokens have most to attend to: they begin first.
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * TOKENS
    start_of_request = tl.load(query_start + request)
    scheduled = tl.load(query_start + request + 1) - start_of_request
    if first >= scheduled:
        return
    length = tl.load(context + request)
    d = tl.arange(0, D)
    row = tl.arange(0, ROWS)
    number = first + row // GROUP_ROWS
    member = row % GROUP_ROWS
    real = (number < scheduled) & (member < GROUP)
    head = (start_of_request + number).to(tl.int64) * (KV_HEADS * GROUP) + kv_head * GROUP + member
    queries = tl.load(q + head[:, None] * D + d[None, :], mask=real[:, None], other=0.0)
    own = length - scheduled + number
    end = tl.minimum(length, length - scheduled + first + TOKENS)

    keys = pool + (layer * KV_HEADS + kv_head).to(tl.int64) * (2 * BLOCK * D) + d[None, :]
    table = tables + request * width
    token = tl.arange(0, TILE)
    # Finite, so that a row without any key (padding) gets zeros and no NaN.
    top = tl.full((ROWS,), -1e30, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    result = tl.zeros((ROWS, D), tl.float32)
    slot = tl.load(table + token // BLOCK, mask=token < end, other=0)
    for start in tl.range(0, end, TILE, num_stages=STAGES):
        position = start + token
        held = position < end
        # A tile ahead: the pipeline of K and V must not wait for it.
        ahead = position + TILE
        next_slot = tl.load(table + ahead // BLOCK, mask=ahead < end, other=0)
        place = slot.to(tl.int64) * (LAYERS * KV_HEADS * 2 * BLOCK * D) + position % BLOCK * D
        # What lies beyond the context may be NaN, and 0 * NaN is no zero: it must not be loaded.
        k = tl.load(keys + place[:, None], mask=held[:, None], other=0.0)
        v = tl.load(keys + (place + BLOCK * D)[:, None], mask=held[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(k), input_precision=PRECISION) * scale
        scores = tl.where(position[None, :] <= own[:, None], scores, -float("inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        shrink = tl.exp2(top - new_top)
        shares = tl.exp2(scores - new_top[:, None])
        total = total * shrink + tl.sum(shares, 1)
        result = tl.dot(shares.to(v.dtype), v, result * shrink[:, None], input_precision=PRECISION)
        top = new_top
        slot = next_slot
    result = result / tl.where(total > 0, total, 1.0)[:, None]
    tl.store(out + head[:, None] * D + d[None, :], result.to(out.dtype.element_ty), mask=real[:, None])


def paged_prefill(
    q: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    rows: Rows,
    out: torch.Tensor,
    tuning: PrefillTuning = PrefillTuning(),
) -> torch.Tensor:
    """Causal attention of the step's tokens to the tokens of their request up to each of them.

    q, out [T, heads, d]; pool [slots, layers, kv_heads, 2, 16, d]; all contiguous. The last token of a request sits at
    position context - 1. Returns `out`; a request of context 0, padding, gets zeros. Never waits for the device.
    """
    heads, d = q.shape[1:]
    layers, kv_heads = pool.shape[1:3]
    group = heads // kv_heads
    group_rows = triton.next_power_of_2(group)
    tile_rows = max(tuning.rows, group_rows)
    grid = (triton.cdiv(rows.max_query, tile_rows // group_rows), kv_heads, len(rows.context))
    _attend_causally[grid](
        q, pool, rows.tables, rows.query_start, rows.context, out, layer, rows.tables.stride(0), d**-0.5 * LOG2_E,
        layers, kv_heads, group, group_rows, d, BLOCK_TOKENS, tile_rows, tuning.tile, tuning.stages,
        dot_precision(pool), num_warps=tuning.warps,
    )  # fmt: skip
    return out
