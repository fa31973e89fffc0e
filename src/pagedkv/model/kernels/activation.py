"""The SwiGLU activation."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _silu_mul(gate_up, out, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = column < COLUMNS
    gate = tl.load(gate_up + row * (2 * COLUMNS) + column, mask=real, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * (2 * COLUMNS) + COLUMNS + column, mask=real, other=0.0).to(tl.float32)
    result = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * COLUMNS + column, result.to(out.dtype.element_ty), mask=real)


def silu_mul(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up [T, i] of gate_up [T, 2 * i], the gates before the ups; in float32, rounded once."""
    columns = gate_up.shape[1] // 2
    out = torch.empty((len(gate_up), columns), dtype=gate_up.dtype, device=gate_up.device)
    grid = (triton.cdiv(columns, _BLOCK), len(gate_up))
    _silu_mul[grid](gate_up, out, columns, _BLOCK, num_warps=4)
    return out
