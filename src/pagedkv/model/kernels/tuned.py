"""Which kernel computes a decode step of how many rows, and how.

As measured in whole decode steps on an H200, whose memory streams 4.48 TB/s, with torch 2.11 and Triton 3.6 on
2026-11-25, at the shapes of an 8B model with contexts of 2,048 tokens. Other models take the same: it is right for any
shape, but measured for no other.

What is added up in which order depends on the number of rows and, for `EvenTuning`, on the contexts: on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pagedkv.model.kernels.activation import silu_mul
from pagedkv.model.kernels.decode import DecodeTuning, paged_decode
from pagedkv.model.kernels.early import AT_END, AT_ONCE, NO
from pagedkv.model.kernels.even import EvenTuning, paged_decode_even
from pagedkv.model.kernels.fresh import Fresh
from pagedkv.model.kernels.norm import rms_norm
from pagedkv.model.kernels.prefill import paged_prefill
from pagedkv.model.kernels.rotary import write_kv_rope
from pagedkv.model.kernels.slab import SlabTuning, linear_slab
from pagedkv.model.operations import Operations
from pagedkv.model.step import Rows


@dataclass(frozen=True)
class Tuned:
    """A step of at most `rows` rows. Its norms start early."""

    rows: int
    qkv: SlabTuning
    attention: DecodeTuning | EvenTuning
    attention_out: SlabTuning
    gate_up: SlabTuning
    down: SlabTuning
    head: SlabTuning


def _slab(
    columns: int, depth: int, parts: int, stages: int, early: int = AT_ONCE, warps: int = 4, **more: int
) -> SlabTuning:
    return SlabTuning(columns, depth, parts, warps, stages, early=early, **more)


TABLE = (
    Tuned(
        rows=1,
        qkv=_slab(64, 128, 4, 3, descriptors=True, ahead=256),
        attention=DecodeTuning(min_split=128, early=AT_ONCE),
        attention_out=_slab(64, 256, 2, 3, ahead=256),
        gate_up=_slab(56, 128, 1, 3),
        down=_slab(64, 128, 4, 4, AT_END, ahead=256),
        head=_slab(64, 128, 1, 3),
    ),
    Tuned(
        rows=8,
        qkv=_slab(64, 128, 4, 3, descriptors=True, ahead=256),
        attention=DecodeTuning(min_split=256, early=AT_ONCE),
        attention_out=_slab(64, 128, 4, 4, ahead=256),
        gate_up=_slab(64, 128, 1, 3, NO, descriptors=True),
        down=_slab(64, 128, 4, 4, ahead=256),
        head=_slab(64, 128, 1, 3),
    ),
    Tuned(
        rows=16,
        qkv=_slab(64, 128, 2, 3, descriptors=True, ahead=256),
        attention=EvenTuning(tile=64, least=2, programs_per_sm=2, stages=4, early=AT_ONCE),
        attention_out=_slab(64, 128, 4, 4, ahead=256),
        gate_up=_slab(64, 128, 1, 3, NO, descriptors=True),
        down=_slab(64, 128, 4, 4, ahead=256),
        head=_slab(64, 128, 1, 3),
    ),
    Tuned(
        rows=32,
        qkv=_slab(64, 128, 2, 4, descriptors=True, ahead=256),
        attention=EvenTuning(tile=64, least=2, programs_per_sm=2, stages=4, early=AT_ONCE),
        attention_out=_slab(64, 128, 4, 4, descriptors=True, ahead=256),
        gate_up=_slab(64, 64, 1, 5, NO, descriptors=True),
        down=_slab(64, 128, 4, 4, descriptors=True, ahead=256),
        head=_slab(64, 128, 1, 4, descriptors=True),
    ),
    Tuned(
        rows=64,
        qkv=_slab(64, 128, 2, 3, NO, descriptors=True),
        attention=EvenTuning(tile=32, least=4, programs_per_sm=3, stages=3, early=AT_ONCE),
        attention_out=_slab(64, 128, 2, 6, warps=8, descriptors=True, ahead=256),
        gate_up=_slab(64, 64, 1, 3, NO, descriptors=True),
        down=_slab(64, 128, 4, 3, descriptors=True),
        head=_slab(128, 64, 1, 3, NO, descriptors=True),
    ),
)
"""The first entry with enough rows is taken. Steps of more rows have products by the library."""


def operations(table: tuple[Tuned, ...] = TABLE) -> Operations:
    """By a table in the order of rows."""
    by_rows = _ByRows(table)
    return Operations(
        paged_decode=by_rows.paged_decode,
        paged_prefill=paged_prefill,
        write_kv_rope=write_kv_rope,
        rms_norm=by_rows.rms_norm,
        silu_mul=silu_mul,
        linear=functional.linear,
        named_linear=by_rows.linear,
        swiglu=by_rows.swiglu,
        decode_fresh=by_rows.decode_fresh,
    )


class _ByRows:
    """The operations whose kernels depend on the number of rows."""

    def __init__(self, table: tuple[Tuned, ...] = TABLE) -> None:
        self._table = table

    def _of(self, rows: int) -> Tuned | None:
        return next((entry for entry in self._table if rows <= entry.rows), None)

    def linear(self, name: str, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        entry = self._of(len(x))
        return linear_slab(x, weight, getattr(entry, name)) if entry else functional.linear(x, weight)

    def swiglu(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        entry = self._of(len(x))
        if entry is None:
            return silu_mul(functional.linear(x, weight))
        return linear_slab(x, weight, entry.gate_up, gated=True)

    def rms_norm(
        self, x: torch.Tensor, weight: torch.Tensor, eps: float, residual: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return rms_norm(x, weight, eps, residual, AT_ONCE if self._of(x.shape[-2]) else NO)

    def paged_decode(
        self,
        q: torch.Tensor | Fresh,
        pool: torch.Tensor,
        layer: int,
        tables: torch.Tensor,
        context: torch.Tensor,
        out: torch.Tensor,
    ) -> torch.Tensor:
        entry = self._of(len(out))
        tuning = entry.attention if entry else DecodeTuning()
        attend = paged_decode if isinstance(tuning, DecodeTuning) else paged_decode_even
        return attend(q, pool, layer, tables, context, out, tuning)

    def decode_fresh(
        self,
        qkv: torch.Tensor,
        cos_sin: torch.Tensor,
        rows: Rows,
        pool: torch.Tensor,
        layer: int,
        q_norm: torch.Tensor | None,
        k_norm: torch.Tensor | None,
        eps: float,
    ) -> torch.Tensor:
        (tokens, columns), (kv_heads, d) = qkv.shape[-2:], (pool.shape[2], pool.shape[5])
        out = torch.empty((tokens, columns // d - 2 * kv_heads, d), dtype=pool.dtype, device=pool.device)
        fresh = Fresh(qkv, cos_sin, q_norm, k_norm, eps)
        return self.paged_decode(fresh, pool, layer, rows.tables, rows.context, out)
