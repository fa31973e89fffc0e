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
from pagedkv.model.kernels.attend import attend_to, first_slots
from pagedkv.model.kernels.early import NO, launch, may_start_next, wait_for_earlier
from pagedkv.model.kernels.fresh import Fresh, described, heads_of, write_fresh

LOG2_E = 1.4426950408889634
REQUESTS = 256
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
    early: int = NO


@triton.jit
def _split_tokens(context, TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr):
    """Tokens of each split of a context, but for the last."""
    return tl.maximum((context + MAX_SPLITS * TILE - 1) // (MAX_SPLITS * TILE) * TILE, MIN_SPLIT)


@triton.jit
def _split(
    item, ends, context, KV_HEADS: tl.constexpr, TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr
):
    """Request, split, begin and end of an item, and the length of the request's context."""
    work = item // KV_HEADS
    request = tl.sum((ends <= work).to(tl.int32), 0)
    split = work - tl.max(tl.where(ends <= work, ends, 0), 0)
    length = tl.load(context + request)
    tokens = _split_tokens(length, TILE, MIN_SPLIT, MAX_SPLITS)
    return request, split, split * tokens, tl.minimum((split + 1) * tokens, length), length


@triton.jit(do_not_specialize=["layer", "requests", "width"])
def _attend_to_splits(
    q, cos_sin, q_norm, k_norm, eps, apart, pool, tables, context, partial, weights, layer, requests, width, scale,
    FRESH: tl.constexpr, NORM: tl.constexpr, PARTS: tl.constexpr,
    LAYERS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    REQUESTS: tl.constexpr, ROWS: tl.constexpr,
    TILE: tl.constexpr, MIN_SPLIT: tl.constexpr, MAX_SPLITS: tl.constexpr, STAGES: tl.constexpr,
    PRECISION: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """`partial` [n, heads, MAX_SPLITS, D] gets each split's result, `weights` log2 of the sum of its exponentials."""
    may_start_next(EARLY)
    if not FRESH:
        wait_for_earlier(EARLY)
    SLOT: tl.constexpr = LAYERS * KV_HEADS * 2 * BLOCK * D
    Q_HEADS: tl.constexpr = KV_HEADS * (GROUP + 2) if FRESH else KV_HEADS * GROUP
    number = tl.arange(0, REQUESTS)
    contexts = tl.load(context + number, mask=number < requests, other=0)
    ends = tl.cumsum(tl.cdiv(contexts, _split_tokens(contexts, TILE, MIN_SPLIT, MAX_SPLITS)), 0)
    items = tl.max(ends, 0) * KV_HEADS
    if FRESH:
        wait_for_earlier(EARLY)

    d = tl.arange(0, D)
    row = tl.arange(0, ROWS)
    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        # Neighbours take the KV heads of the same blocks: their pieces are adjacent in memory.
        kv_head = item % KV_HEADS
        request, split, begin, end, length = _split(item, ends, context, KV_HEADS, TILE, MIN_SPLIT, MAX_SPLITS)
        keys = pool + (layer * KV_HEADS + kv_head).to(tl.int64) * (2 * BLOCK * D)
        table = tables + request.to(tl.int64) * width
        slot = first_slots(table, begin, end, BLOCK, TILE)
        queries = heads_of(
            q, cos_sin, q_norm, request, kv_head * GROUP, length - 1, GROUP, eps, apart,
            Q_HEADS, ROWS, D, FRESH, NORM, PARTS,
        ).to(pool.dtype.element_ty)  # fmt: skip
        if FRESH:
            write_fresh(
                q, cos_sin, k_norm, keys, table, request, kv_head, length - 1, end, eps, apart,
                SLOT, KV_HEADS, GROUP, D, BLOCK, NORM, PARTS,
            )  # fmt: skip
        top, sums, result = attend_to(
            queries, keys, table, slot, begin, end, scale, SLOT, BLOCK, ROWS, D, TILE, STAGES, PRECISION
        )
        head = request.to(tl.int64) * (KV_HEADS * GROUP) + kv_head * GROUP + row
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
    q: torch.Tensor | Fresh,
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
    With `Fresh` queries it writes the new tokens' K and V first; `tables` and `context` are then not what the kernel
    right before has written.
    """
    requests, heads, d = out.shape
    layers, kv_heads = pool.shape[1:3]
    group = heads // kv_heads
    partial = torch.empty((requests, heads, tuning.max_splits, d), dtype=torch.float32, device=out.device)
    weights = torch.empty((requests, heads, tuning.max_splits), dtype=torch.float32, device=out.device)
    cut = tuning.tile, tuning.min_split, tuning.max_splits
    of_q, fresh = described(q)
    options = launch(out, tuning.early)
    _attend_to_splits[(programs or programs_of(out.device, tuning.programs_per_sm, interpreted=3),)](
        *of_q, pool, tables, context, partial, weights, layer, requests, tables.stride(0), d**-0.5 * LOG2_E, *fresh,
        layers, kv_heads, group, d, BLOCK_TOKENS, max(REQUESTS, triton.next_power_of_2(requests)),
        max(16, triton.next_power_of_2(group)), *cut, tuning.stages, dot_precision(pool),
        num_warps=tuning.warps, **options,
    )  # fmt: skip
    _join_splits[(heads, requests)](
        partial, weights, context, out, heads, d, *cut, AT_ONCE=16, num_warps=4 if d >= 64 else 1, **options
    )
    return out


def programs_of(device: torch.device, per_sm: int, interpreted: int) -> int:
    """Programs that fill `device`: `per_sm` a multiprocessor; `interpreted`, one after the other, where it has none."""
    if device.type != "cuda":
        return interpreted
    return torch.cuda.get_device_properties(device).multi_processor_count * per_sm


def dot_precision(values: torch.Tensor) -> str:
    """float32 is for tests: exact there, where Triton would take tf32."""
    return "ieee" if values.dtype == torch.float32 else "tf32"
