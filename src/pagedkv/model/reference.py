"""The operations of the decoder in plain torch: what each kernel has to compute, for any device and dtype.

Products of attention, norms and activations are in float32, rounded once to the dtype of their input. Attention loops
over the requests on the host: right, not fast.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.step import Rows


def paged_decode(
    q: torch.Tensor, pool: torch.Tensor, layer: int, tables: torch.Tensor, context: torch.Tensor, out: torch.Tensor
) -> torch.Tensor:
    """Attention of one new token a request to all of its `context` tokens, its own included.

    q, out [n, heads, head_dim]; pool [slots, layers, kv_heads, 2, 16, head_dim]; tables [n, blocks]; context [n].
    Returns `out`; a request without context gets zeros.
    """
    for request, tokens in enumerate(context.tolist()):
        keys, values = _gather(pool, layer, tables[request], tokens)
        out[request] = _attend(q[request : request + 1], keys, values)[0]
    return out


def paged_prefill(q: torch.Tensor, pool: torch.Tensor, layer: int, rows: Rows, out: torch.Tensor) -> torch.Tensor:
    """Causal attention of any number of new tokens a request to its tokens up to each of them.

    q, out [T, heads, head_dim]. The last of a request's tokens sits at position context - 1. Returns `out`.
    """
    ends = rows.query_start.tolist()
    for request, tokens in enumerate(rows.context.tolist()):
        new = slice(ends[request], ends[request + 1])
        keys, values = _gather(pool, layer, rows.tables[request], tokens)
        out[new] = _attend(q[new], keys, values)
    return out


def paged_prefill_by_token(
    q: torch.Tensor, pool: torch.Tensor, layer: int, rows: Rows, out: torch.Tensor
) -> torch.Tensor:
    """`paged_prefill` whose bits depend neither on the batch nor on how a prompt is cut into steps."""
    request = torch.repeat_interleave(rows.query_start.diff())
    return paged_decode(q, pool, layer, rows.tables[request], rows.positions + 1, out)


def _gather(pool: torch.Tensor, layer: int, table: torch.Tensor, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """K and V of a request's first `tokens` tokens, each float32 [kv_heads, tokens, head_dim]."""
    blocks = pool[table[: -(-tokens // BLOCK_TOKENS)], layer]  # [blocks, kv_heads, 2, 16, head_dim]
    keys, values = blocks.permute(2, 1, 0, 3, 4).flatten(2, 3)[:, :, :tokens].float()
    return keys, values


def _attend(q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Attention of the last m tokens, q [m, heads, head_dim], to all; consecutive heads share a KV head."""
    m, _, head_dim = q.shape
    kv_heads, tokens, _ = keys.shape
    grouped = q.float().reshape(m, kv_heads, -1, head_dim)
    scores = torch.einsum("mkgd,ktd->kgmt", grouped, keys) * head_dim**-0.5
    future = torch.ones(m, tokens, dtype=torch.bool, device=q.device).triu(tokens - m + 1)
    shares = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    return torch.einsum("kgmt,ktd->mkgd", shares, values).reshape(q.shape).to(q.dtype)


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

    qkv [T, (heads + 2 kv_heads) * head_dim]: the heads of q, of k, of v. cos_sin as `rotary.cos_sin_table` makes it;
    q_norm, k_norm [head_dim]. Token t goes to place offsets[t] of the block in slots[t]. Returns [T, heads, head_dim].
    """
    kv_heads, head_dim = pool.shape[2], pool.shape[5]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    q, k, v = qkv.unflatten(1, (-1, head_dim)).split([heads, kv_heads, kv_heads], dim=1)
    cos, sin = cos_sin[positions][:, None].chunk(2, dim=-1)
    places = slots.long(), offsets.long()
    keys, values = pool[:, layer].unbind(2)  # each [slots, kv_heads, 16, head_dim]
    keys[places[0], :, places[1]] = _rotate(_normed(k.float(), k_norm, eps), cos, sin).to(pool.dtype)
    values[places[0], :, places[1]] = v.to(pool.dtype)
    return _rotate(_normed(q.float(), q_norm, eps), cos, sin).to(qkv.dtype)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _normed(x: torch.Tensor, weight: torch.Tensor | None, eps: float) -> torch.Tensor:
    if weight is None:
        return x
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight.float()


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor, eps: float, residual: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(norm of the sum, the sum) of x [T, hidden] and `residual`, if there is one, as rounded to its dtype."""
    total = x if residual is None else x + residual
    return _normed(total.float(), weight, eps).to(x.dtype), total


def silu_mul(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up of gate_up [T, 2 * intermediate], the gates before the ups."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    return (functional.silu(gate) * up).to(gate_up.dtype)


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed: [T, n]."""
    return functional.linear(x, weight)


def linear_invariant(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x [T, k] times weight [n, k] transposed, a row at a time: its bits do not depend on the batch."""
    return torch.cat([functional.linear(row, weight) for row in x.split(1)])
