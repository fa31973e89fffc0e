"""Decode attention whose work is cut into equal pieces, whatever the contexts.

The tiles of all contexts, one request after the other, are dealt out evenly: each team of programs, one a KV head, gets
as many adjacent ones as any other (Sanovar et al. 2024, LeanAttention). A batch of one is spread over the whole device,
a batch of 64 is hardly cut at all. What a team has of a context is a segment; a context in one segment is done with,
the segments of others are joined in order by the last program to finish one. So results are deterministic, but those of
a request depend, in rounding, on the other contexts of its batch.

Contexts are read on the device, so that a captured graph serves any.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.kernels.attend import attend_to, first_slots
from pagedkv.model.kernels.decode import LOG2_E, REQUESTS, dot_precision, programs_of
from pagedkv.model.kernels.early import NO, launch, may_start_next, wait_for_earlier
from pagedkv.model.kernels.fresh import Fresh, described, heads_of, write_fresh

_JOINED = 4
"""Segments that are joined at a time."""


@dataclass(frozen=True)
class EvenTuning:
    """How the work is cut; results of different tunings differ in rounding."""

    tile: int = 32
    """Tokens that a program has in registers at a time: whole blocks."""
    least: int = 4
    """Tiles of a team, at least."""
    programs_per_sm: int = 4
    warps: int = 4
    stages: int = 3
    early: int = NO


@triton.jit
def _join(
    partial, weights, out, request, kv_head, first_team, count,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, HEADS_AT_ONCE: tl.constexpr, D: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """The first segment of a context is the last of its team, the others are the first of theirs."""
    d = tl.arange(0, D)
    head = tl.arange(0, HEADS_AT_ONCE)
    top = tl.full((HEADS_AT_ONCE,), -1e30, tl.float32)
    total = tl.zeros((HEADS_AT_ONCE,), tl.float32)
    result = tl.zeros((HEADS_AT_ONCE, D), tl.float32)
    for start in range(0, count, AT_ONCE):
        number = start + tl.arange(0, AT_ONCE)
        place = ((first_team + number) * 2 + (number == 0).to(tl.int32)) * KV_HEADS + kv_head
        place = place[:, None] * GROUP + head[None, :]
        held = (number < count)[:, None] & (head < GROUP)[None, :]
        # Past the first-level cache, which knows nothing of what other multiprocessors write.
        weight = tl.load(weights + place, mask=held, other=-float("inf"), cache_modifier=".cg")
        parts = partial + place[:, :, None] * D + d[None, None, :]
        part = tl.load(parts, mask=held[:, :, None], other=0.0, cache_modifier=".cg")
        new_top = tl.maximum(top, tl.max(weight, 0))
        shrink = tl.exp2(top - new_top)
        shares = tl.exp2(weight - new_top[None, :])
        total = total * shrink + tl.sum(shares, 0)
        result = result * shrink[:, None] + tl.sum(part * shares[:, :, None], 0)
        top = new_top
    target = (request * KV_HEADS + kv_head).to(tl.int64) * GROUP + head
    total = tl.where(head < GROUP, total, 1.0)
    result = (result / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + target[:, None] * D + d[None, :], result, mask=(head < GROUP)[:, None])


@triton.jit(do_not_specialize=["layer", "requests", "width"])
def _attend(
    q, cos_sin, q_norm, k_norm, eps, apart, pool, tables, context, partial, weights, arrived, out,
    layer, requests, width, scale,
    FRESH: tl.constexpr, NORM: tl.constexpr, PARTS: tl.constexpr,
    LAYERS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    REQUESTS: tl.constexpr, ROWS: tl.constexpr, HEADS_AT_ONCE: tl.constexpr,
    TILE: tl.constexpr, LEAST: tl.constexpr, JOINED: tl.constexpr, STAGES: tl.constexpr, PRECISION: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """`partial` [teams, 2, heads, D] gets the result of a segment, `weights` log2 of the sum of its exponentials."""
    may_start_next(EARLY)
    if not FRESH:
        wait_for_earlier(EARLY)
    SLOT: tl.constexpr = LAYERS * KV_HEADS * 2 * BLOCK * D
    Q_HEADS: tl.constexpr = KV_HEADS * (GROUP + 2) if FRESH else KV_HEADS * GROUP
    # Neighbours take the KV heads of the same blocks: their pieces are adjacent in memory.
    kv_head = tl.program_id(0) % KV_HEADS
    team = tl.program_id(0) // KV_HEADS
    teams = tl.num_programs(0) // KV_HEADS
    keys = pool + (layer * KV_HEADS + kv_head).to(tl.int64) * (2 * BLOCK * D)
    number = tl.arange(0, REQUESTS)
    d = tl.arange(0, D)
    row = tl.arange(0, ROWS)
    contexts = tl.load(context + number, mask=number < requests, other=0)
    ends = tl.cumsum(tl.cdiv(contexts, TILE), 0)
    all_tiles = tl.max(ends, 0)
    share = tl.maximum(tl.cdiv(all_tiles, teams), LEAST)
    team_begin = tl.minimum(team * share, all_tiles)
    team_end = tl.minimum(team_begin + share, all_tiles)
    first = tl.sum((ends <= team_begin).to(tl.int32), 0)
    beyond = tl.where(team_begin < team_end, tl.sum((ends < team_end).to(tl.int32), 0) + 1, first)
    if FRESH:
        wait_for_earlier(EARLY)
    for request in range(first, beyond):
        length = tl.load(context + request)
        tiles = tl.cdiv(length, TILE)
        origin = tl.max(tl.where(number == request, ends, 0), 0) - tiles
        start_tile = tl.maximum(team_begin - origin, 0)
        stop_tile = tl.minimum(team_end - origin, tiles)
        end = tl.minimum(stop_tile * TILE, length)
        begin = tl.minimum(start_tile * TILE, end)

        head = (request * KV_HEADS + kv_head).to(tl.int64) * GROUP + row
        table = tables + tl.cast(request, tl.int64) * width
        position = tl.maximum(length - 1, 0)
        slot = first_slots(table, begin, end, BLOCK, TILE)
        queries = heads_of(
            q, cos_sin, q_norm, request, kv_head * GROUP, position, GROUP, eps, apart,
            Q_HEADS, ROWS, D, FRESH, NORM, PARTS,
        ).to(pool.dtype.element_ty)  # fmt: skip
        if FRESH:
            write_fresh(
                q, cos_sin, k_norm, keys, table, request, kv_head, position, end, eps, apart,
                SLOT, KV_HEADS, GROUP, D, BLOCK, NORM, PARTS,
            )  # fmt: skip
        top, sums, result = attend_to(
            queries, keys, table, slot, begin, end, scale, SLOT, BLOCK, ROWS, D, TILE, STAGES, PRECISION
        )
        # A request without context may lie between others: nothing of it is stored here.
        sums = tl.where(tiles > 0, sums, 1.0)
        result = result / sums[:, None]
        mine = row < GROUP
        if stop_tile - start_tile == tiles:
            stored = mine & (tiles > 0)
            tl.store(out + head[:, None] * D + d[None, :], result.to(out.dtype.element_ty), mask=stored[:, None])
        else:
            segment = ((team * 2 + (start_tile == 0).to(tl.int32)) * KV_HEADS + kv_head) * GROUP + row
            tl.store(partial + segment[:, None] * D + d[None, :], result, mask=mine[:, None])
            tl.store(weights + segment, top + tl.log2(sums), mask=mine)
            first_team = origin // share
            count = (origin + tiles - 1) // share - first_team + 1
            tl.debug_barrier()  # before one thread says that all have written
            before = tl.atomic_add(arrived + request * KV_HEADS + kv_head, 1, sem="acq_rel", scope="gpu")
            if before == count - 1:
                _join(
                    partial, weights, out, request, kv_head, first_team, count,
                    KV_HEADS, GROUP, HEADS_AT_ONCE, D, AT_ONCE=JOINED,
                )  # fmt: skip
                tl.store(arrived + request * KV_HEADS + kv_head, 0)  # as the next launch wants it
    for request in range(team, requests, teams):
        if tl.load(context + request) == 0:
            head = (request * KV_HEADS + kv_head).to(tl.int64) * GROUP + row
            zero = tl.zeros((ROWS, D), out.dtype.element_ty)
            tl.store(out + head[:, None] * D + d[None, :], zero, mask=(row < GROUP)[:, None])


def paged_decode_even(
    q: torch.Tensor | Fresh,
    pool: torch.Tensor,
    layer: int,
    tables: torch.Tensor,
    context: torch.Tensor,
    out: torch.Tensor,
    tuning: EvenTuning = EvenTuning(),
    programs: int | None = None,
) -> torch.Tensor:
    """The contract of `decode.paged_decode`, but that a request's bits depend on the contexts of its batch.

    Launches on one device must follow each other: they share counters. At most 256 requests; `programs`: default from
    the device.
    """
    requests, heads, d = out.shape
    layers, kv_heads = pool.shape[1:3]
    group = heads // kv_heads
    teams = max(1, (programs or programs_of(out.device, tuning.programs_per_sm, interpreted=6)) // kv_heads)
    partial = torch.empty((teams, 2, heads, d), dtype=torch.float32, device=out.device)
    weights = torch.empty((teams, 2, heads), dtype=torch.float32, device=out.device)
    of_q, fresh = described(q)
    _attend[(teams * kv_heads,)](
        *of_q, pool, tables, context, partial, weights, _counters(out.device, kv_heads), out,
        layer, requests, tables.stride(0), d**-0.5 * LOG2_E, *fresh,
        layers, kv_heads, group, d, BLOCK_TOKENS, max(REQUESTS, triton.next_power_of_2(requests)),
        max(16, triton.next_power_of_2(group)), triton.next_power_of_2(group),
        tuning.tile, tuning.least, _JOINED, tuning.stages, dot_precision(pool),
        num_warps=tuning.warps, **launch(out, tuning.early),
    )  # fmt: skip
    return out


@cache
def _counters(device: torch.device, kv_heads: int) -> torch.Tensor:
    """How many segments of a context are done, for each request and KV head; zero between launches."""
    return torch.zeros(REQUESTS * kv_heads, dtype=torch.int32, device=device)
