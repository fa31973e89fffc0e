"""Queries, keys and values of new tokens as the qkv product leaves them: decode attention norms and rotates them.

That saves the launch of `write_kv_rope`, which takes longer to start and to end than to do its work. The program that
attends to the end of a context writes its new key and value into the pool first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

from pagedkv.model.kernels.parts import number_of_parts, sum_of_parts


@dataclass(frozen=True)
class Fresh:
    """What `rotary.write_kv_rope` takes: qkv [n, (heads + 2 kv_heads) * d], which may come in parts, of one new token a
    request, whose blocks the tables name already."""

    qkv: torch.Tensor
    cos_sin: torch.Tensor
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    eps: float


def described(q: torch.Tensor | Fresh) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What decode kernels are told of their queries: arguments and constants."""
    if not isinstance(q, Fresh):
        return (q, None, None, None, 0.0, 0), (False, False, 1)
    apart = q.qkv.shape[-2] * q.qkv.shape[-1]
    constants = True, q.q_norm is not None, number_of_parts(q.qkv)
    return (q.qkv, q.cos_sin, q.q_norm, q.k_norm, q.eps, apart), constants


@triton.jit
def heads_of(
    q, cos_sin, norm, request, first, position, rows, eps, apart,
    HEADS: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr,
    FRESH: tl.constexpr, NORM: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """`rows` heads of a request from `first` on, [ROWS, D]; of fresh ones in float32, normed and rotated."""
    HALF: tl.constexpr = D // 2
    row = tl.arange(0, ROWS)
    d = tl.arange(0, D)
    real = (row < rows)[:, None]
    source = q + (tl.cast(request, tl.int64) * HEADS + first + row)[:, None] * D
    if FRESH:
        across = (d + HALF) % D
        value = sum_of_parts(source + d[None, :], real, apart, PARTS)
        other = sum_of_parts(source + across[None, :], real, apart, PARTS)
        if NORM:
            scale = tl.rsqrt(tl.sum(value * value, 1) / D + eps)[:, None]
            value = value * scale * tl.load(norm + d).to(tl.float32)[None, :]
            other = other * scale * tl.load(norm + across).to(tl.float32)[None, :]
        angle = cos_sin + tl.cast(position, tl.int64) * D + d % HALF
        sin = tl.load(angle + HALF)
        value = value * tl.load(angle)[None, :] + other * tl.where(d < HALF, -sin, sin)[None, :]
    else:
        value = tl.load(source + d[None, :], mask=real, other=0.0)
    return value


@triton.jit
def write_fresh(
    q, cos_sin, norm, keys, table, request, kv_head, position, end, eps, apart,
    SLOT: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
    NORM: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """The new key and value of a KV head go to the place of `position`, if that is the last one before `end`. For
    `keys` and SLOT see `attend.attend_to`."""
    HEADS: tl.constexpr = KV_HEADS * (GROUP + 2)
    if position + 1 == end:
        first = KV_HEADS * GROUP + kv_head
        key = heads_of(q, cos_sin, norm, request, first, position, 1, eps, apart, HEADS, 1, D, True, NORM, PARTS)
        d = tl.arange(0, D)[None, :]
        value = q + (tl.cast(request, tl.int64) * HEADS + first + KV_HEADS) * D + d
        value = sum_of_parts(value, None, apart, PARTS)
        place = keys + tl.load(table + position // BLOCK).to(tl.int64) * SLOT + position % BLOCK * D + d
        tl.store(place, key.to(keys.dtype.element_ty))
        tl.store(place + BLOCK * D, value.to(keys.dtype.element_ty))
        tl.debug_barrier()  # other threads of this program read them
