"""Attention of some heads of one request to a piece of its paged context, the work of every decode kernel."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def first_slots(table, begin, end, BLOCK: tl.constexpr, TILE: tl.constexpr):
    """The slots of the tokens of the first tile. What `attend_to` has to wait for first is asked for by itself."""
    position = begin + tl.arange(0, TILE)
    return tl.load(table + position // BLOCK, mask=position < end, other=0)


@triton.jit
def attend_to(
    queries, keys, table, slot, begin, end, scale,
    SLOT: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr,
    TILE: tl.constexpr, STAGES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What the tokens `begin` to `end` give to `queries` [ROWS, D], by the rules of softmax in base 2 (`scale` has log2
    of e): the largest score of each row; the sum of the others' exponentials relative to it; the sum of the values with
    these as weights. `keys`: where the KV head's keys are in slot 0, and SLOT elements on in the next; `slot`: what
    `first_slots` gives."""
    d = tl.arange(0, D)
    token = tl.arange(0, TILE)
    top = tl.full((ROWS,), -float("inf"), tl.float32)
    total = tl.zeros((ROWS, TILE), tl.float32)
    result = tl.zeros((ROWS, D), tl.float32)
    for start in tl.range(begin, end, TILE, num_stages=STAGES):
        position = start + token
        held = position < end
        # A tile ahead: the pipeline of K and V must not wait for it.
        ahead = position + TILE
        next_slot = tl.load(table + ahead // BLOCK, mask=ahead < end, other=0)
        place = slot.to(tl.int64) * SLOT + position % BLOCK * D
        # What lies beyond the context may be NaN, and 0 * NaN is no zero: it must not be loaded.
        k = tl.load(keys + place[:, None] + d[None, :], mask=held[:, None], other=0.0)
        v = tl.load(keys + (place + BLOCK * D)[:, None] + d[None, :], mask=held[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(k), input_precision=PRECISION) * scale
        scores = tl.where(held[None, :], scores, -float("inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        shrink = tl.exp2(top - new_top)
        shares = tl.exp2(scores - new_top[:, None])
        # Summed over tokens once at the end: a sum across warps costs a barrier.
        total = total * shrink[:, None] + shares
        result = tl.dot(shares.to(v.dtype), v, result * shrink[:, None], input_precision=PRECISION)
        top = new_top
        slot = next_slot
    return top, tl.sum(total, 1), result
