"""Rotary embedding of new queries and keys, and the write of new keys and values into the pool, in one launch."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.kernels.parts import number_of_parts, sum_of_parts

_HEADS_AT_ONCE = 8
"""At most: a power of two."""


@triton.jit(do_not_specialize=["layer"])
def _rotate_and_write(
    qkv, cos_sin, positions, slots, offsets, pool, q_norm, k_norm, q_out, layer, eps, apart,
    LAYERS: tl.constexpr, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    AT_ONCE: tl.constexpr, NORM: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """A program has some heads of one token, all of q, all of k or all of v."""
    HALF: tl.constexpr = D // 2
    token = tl.program_id(1).to(tl.int64)
    first = tl.program_id(0) * AT_ONCE
    head = first + tl.arange(0, AT_ONCE)
    d = tl.arange(0, HALF)
    source = qkv + token * ((HEADS + 2 * KV_HEADS) * D) + head[:, None] * D + d[None, :]
    low = sum_of_parts(source, None, apart, PARTS)
    high = sum_of_parts(source + HALF, None, apart, PARTS)
    is_q = first < HEADS
    if first < HEADS + KV_HEADS:
        if NORM:
            low, high = _normed(low, high, (q_norm if is_q else k_norm) + d, eps, HALF)
        angles = cos_sin + tl.load(positions + token).to(tl.int64) * D + d
        cos = tl.load(angles)[None, :]
        sin = tl.load(angles + HALF)[None, :]
        turned = low * cos - high * sin
        high = high * cos + low * sin
        low = turned
    if is_q:
        target = q_out + token * (HEADS * D) + head[:, None] * D + d[None, :]
        tl.store(target, low.to(q_out.dtype.element_ty))
        tl.store(target + HALF, high.to(q_out.dtype.element_ty))
    else:
        block = tl.load(slots + token).to(tl.int64) * LAYERS + layer
        of_kv = head - HEADS
        tile = (of_kv % KV_HEADS) * 2 + of_kv // KV_HEADS
        place = block * (KV_HEADS * 2 * BLOCK * D) + tl.load(offsets + token) * D
        target = pool + place + tile[:, None] * (BLOCK * D) + d[None, :]
        tl.store(target, low.to(pool.dtype.element_ty))
        tl.store(target + HALF, high.to(pool.dtype.element_ty))


@triton.jit
def _normed(low, high, weight, eps, HALF: tl.constexpr):
    scale = tl.rsqrt((tl.sum(low * low, 1) + tl.sum(high * high, 1)) / (2 * HALF) + eps)[:, None]
    low = low * scale * tl.load(weight).to(tl.float32)[None, :]
    high = high * scale * tl.load(weight + HALF).to(tl.float32)[None, :]
    return low, high


def write_kv_rope(
    qkv: torch.Tensor,
    cos_sin: torch.Tensor,
    positions: torch.Tensor,
    slots: torch.Tensor,
    offsets: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    q_norm: torch.Tensor | None,
    k_norm: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    """Norm (where weights are given) and rotate the heads of q and k; write k and v into the pool; return q.

    qkv [T, (heads + 2 kv_heads) * d]: the heads of q, of k, of v. cos_sin float32 [positions, d] as
    `rotary.cos_sin_table` makes it; q_norm, k_norm [d], both or neither. Token t goes to place offsets[t] of the block
    in slots[t]. Returns [T, heads, d] of the pool's dtype. In float32, rounded once. `qkv` may come in parts.
    """
    layers, kv_heads, d = pool.shape[1], pool.shape[2], pool.shape[5]
    tokens, columns = qkv.shape[-2:]
    heads = columns // d - 2 * kv_heads
    q = torch.empty((tokens, heads, d), dtype=pool.dtype, device=qkv.device)
    at_once = math.gcd(heads, kv_heads, _HEADS_AT_ONCE)
    _rotate_and_write[((heads + 2 * kv_heads) // at_once, tokens)](
        qkv, cos_sin, positions, slots, offsets, pool, q_norm, k_norm, q, layer, eps, tokens * columns,
        layers, heads, kv_heads, d, BLOCK_TOKENS, at_once, q_norm is not None, number_of_parts(qkv),
        num_warps=2,
    )  # fmt: skip
    return q
