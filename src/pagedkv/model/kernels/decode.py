"""Attention of one new token a request to its paged context.

Flash-decoding (Dao et al. 2023): the context of a request is cut into splits, each attended to by itself, and the
partial results are joined by their softmax weights. How a context is cut depends on its length alone, and partial
results are joined in order, so that a request's result does not depend on its batch.

The grid is fixed: programs stride over (request, split, KV head) items whose number they derive from `context` on the
device. A captured graph therefore serves any contexts, and a request without context costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.kernels.early import early, may_start_next, wait_for_earlier

LOG2_E = 1.4426950408889634
_REQUESTS = 256
"""Batches up to this size run the same machine code."""


@dataclass(frozen=True)
class DecodeTuning:
    """How the work is cut; results of different tunings differ in rounding."""

    tile: int = 32
    """Tokens that a program has in registers at a time: whole blocks."""
    min_split: int = 512
    """Fewest tokens of a split, but for the last of a request: a multiple of `tile`."""
    max_splits: int = 64
    """Splits of a request, at most: longer contexts have longer splits. A multiple of 16."""
    programs_per_sm: int = 4
    warps: int = 4
    stages: int = 3
    """Depth of software pipelining. The look-up of a tile's blocks takes a share of it."""


@triton.jit
def _split_tokens(context, TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr):
    """Tokens of each split of a context, but for the last."""
    return tl.maximum((context + MAX_SPLITS * TILE - 1) // (MAX_SPLITS * TILE) * TILE, MIN_SPLIT)


@triton.jit(do_not_specialize=["layer", "requests", "width"])
def _attend_to_splits(
    q, pool, tables, context, partial, weights, layer, requests, width, scale,
    LAYERS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    REQUESTS: tl.constexpr, ROWS: tl.constexpr,
    TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr, STAGES: tl.constexpr,
    PRECISION: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """`partial` [n, heads, MAX_SPLITS, D] gets each split's result, `weights` log2 of the sum of its exponentials."""
    may_start_next(EARLY)
    wait_for_earlier(EARLY)
    number = tl.arange(0, REQUESTS)
    contexts = tl.load(context + number, mask=number < requests, other=0)
    ends = tl.cumsum(tl.cdiv(contexts, _split_tokens(contexts, TILE, MIN_SPLIT, MAX_SPLITS)), 0)
    items = tl.max(ends, 0) * KV_HEADS

    d = tl.arange(0, D)
    row = tl.arange(0, ROWS)
    token = tl.arange(0, TILE)
    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        # Neighbours take the KV heads of the same blocks: their pieces are adjacent in memory.
        kv_head = item % KV_HEADS
        work = item // KV_HEADS
        request = tl.sum((ends <= work).to(tl.int32), 0)
        split = work - tl.max(tl.where(ends <= work, ends, 0), 0)
        length = tl.load(context + request)
        tokens = _split_tokens(length, TILE, MIN_SPLIT, MAX_SPLITS)
        begin = split * tokens
        end = tl.minimum(begin + tokens, length)

        head = request.to(tl.int64) * (KV_HEADS * GROUP) + kv_head * GROUP + row
        queries = tl.load(q + head[:, None] * D + d[None, :], mask=(row < GROUP)[:, None], other=0.0)
        keys = pool + (layer * KV_HEADS + kv_head).to(tl.int64) * (2 * BLOCK * D) + d[None, :]
        table = tables + request.to(tl.int64) * width
        top = tl.full((ROWS,), -float("inf"), tl.float32)
        total = tl.zeros((ROWS, TILE), tl.float32)
        result = tl.zeros((ROWS, D), tl.float32)
        slot = tl.load(table + (begin + token) // BLOCK, mask=begin + token < end, other=0)
        for start in tl.range(begin, end, TILE, num_stages=STAGES):
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
            scores = tl.where(held[None, :], scores, -float("inf"))
            new_top = tl.maximum(top, tl.max(scores, 1))
            shrink = tl.exp2(top - new_top)
            shares = tl.exp2(scores - new_top[:, None])
            # Summed over tokens once at the end: a sum across warps costs a barrier.
            total = total * shrink[:, None] + shares
            result = tl.dot(shares.to(v.dtype), v, result * shrink[:, None], input_precision=PRECISION)
            top = new_top
            slot = next_slot
        sums = tl.sum(total, 1)
        target = head * MAX_SPLITS + split
        tl.store(partial + target[:, None] * D + d[None, :], result / sums[:, None], mask=(row < GROUP)[:, None])
        tl.store(weights + target, top + tl.log2(sums), mask=row < GROUP)


@triton.jit
def _join_splits(
    partial, weights, context, out,
    HEADS: tl.constexpr, D: tl.constexpr,
    TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr, AT_ONCE: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    may_start_next(EARLY)
    wait_for_earlier(EARLY)
    request = tl.program_id(1)
    head = request.to(tl.int64) * HEADS + tl.program_id(0)
    length = tl.load(context + request)
    splits = tl.cdiv(length, _split_tokens(length, TILE, MIN_SPLIT, MAX_SPLITS))
    d = tl.arange(0, D)
    # Finite, and less than any weight: a request without context gets 0 / 1 = 0.
    top = -1e30
    total = 0.0
    result = tl.zeros((D,), tl.float32)
    for start in range(0, splits, AT_ONCE):
        split = start + tl.arange(0, AT_ONCE)
        held = split < splits
        weight = tl.load(weights + head * MAX_SPLITS + split, mask=held, other=-float("inf"))
        place = (head * MAX_SPLITS + split) * D
        part = tl.load(partial + place[:, None] + d[None, :], mask=held[:, None], other=0.0)
        new_top = tl.maximum(top, tl.max(weight, 0))
        shrink = tl.exp2(top - new_top)
        shares = tl.exp2(weight - new_top)
        total = total * shrink + tl.sum(shares, 0)
        result = result * shrink + tl.sum(part * shares[:, None], 0)
        top = new_top
    total = tl.where(splits > 0, total, 1.0)
    tl.store(out + head * D + d, (result / total).to(out.dtype.element_ty))


def paged_decode(
    q: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    tables: torch.Tensor,
    context: torch.Tensor,
    out: torch.Tensor,
    tuning: DecodeTuning = DecodeTuning(),
    programs: int | None = None,
) -> torch.Tensor:
    """Attention of one new token a request to all of its `context` tokens, its own included.

    q, out [n, heads, d]; pool [slots, layers, kv_heads, 2, 16, d]; tables int32 [n, blocks]; context int32 [n]; all
    contiguous. Returns `out`; a request with context 0 gets zeros. `programs`: default from the device.
    """
    requests, heads, d = q.shape
    layers, kv_heads = pool.shape[1:3]
    group = heads // kv_heads
    partial = torch.empty((requests, heads, tuning.max_splits, d), dtype=torch.float32, device=q.device)
    weights = torch.empty((requests, heads, tuning.max_splits), dtype=torch.float32, device=q.device)
    cut = tuning.tile, tuning.min_split, tuning.max_splits
    _attend_to_splits[(programs or _programs(q.device, tuning),)](
        q, pool, tables, context, partial, weights, layer, requests, tables.stride(0), d**-0.5 * LOG2_E,
        layers, kv_heads, group, d, BLOCK_TOKENS, max(_REQUESTS, triton.next_power_of_2(requests)),
        max(16, triton.next_power_of_2(group)), *cut, tuning.stages, dot_precision(pool),
        num_warps=tuning.warps, **early(q),
    )  # fmt: skip
    _join_splits[(heads, requests)](
        partial, weights, context, out, heads, d, *cut, AT_ONCE=16, num_warps=4 if d >= 64 else 1, **early(q)
    )
    return out


def _programs(device: torch.device, tuning: DecodeTuning) -> int:
    if device.type != "cuda":
        return 3  # interpreted, one after the other
    return torch.cuda.get_device_properties(device).multi_processor_count * tuning.programs_per_sm


def dot_precision(values: torch.Tensor) -> str:
    """float32 is for tests: exact there, where Triton would take tf32."""
    return "ieee" if values.dtype == torch.float32 else "tf32"
