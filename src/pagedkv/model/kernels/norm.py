"""RMSNorm with the addition to the residual stream before it, in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pagedkv.model.kernels.early import NO, launch, may_start_next, wait_for_earlier
from pagedkv.model.kernels.parts import number_of_parts, sum_of_parts


@triton.jit
def _add_and_norm(
    x, residual, weight, normed, total, eps, apart,
    HIDDEN: tl.constexpr, BLOCK: tl.constexpr, ADD: tl.constexpr, PARTS: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin = tl.program_id(0).to(tl.int64) * HIDDEN
    column = tl.arange(0, BLOCK)
    real = column < HIDDEN
    may_start_next(EARLY)
    scales = tl.load(weight + column, mask=real, other=0.0).to(tl.float32)
    wait_for_earlier(EARLY)
    value = sum_of_parts(x + begin + column, real, apart, PARTS)
    if ADD:
        added = value + tl.load(residual + begin + column, mask=real, other=0.0).to(tl.float32)
        value = added.to(total.dtype.element_ty)
        tl.store(total + begin + column, value, mask=real)
        value = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / HIDDEN + eps)
    result = value * scale * scales
    tl.store(normed + begin + column, result.to(normed.dtype.element_ty), mask=real)


def rms_norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    eps: float,
    residual: torch.Tensor | None,
    early: int = NO,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(norm of the sum, the sum) of x [T, hidden] and `residual`, if there is one, as rounded to its dtype.

    Without a residual the sum is `x` itself, not a copy. With one, x may come in parts.
    """
    tokens, hidden = x.shape[-2:]
    normed = torch.empty((tokens, hidden), dtype=weight.dtype, device=x.device)
    total = x if residual is None else torch.empty_like(residual)
    _add_and_norm[(tokens,)](
        x, residual, weight, normed, total, eps, tokens * hidden,
        hidden, triton.next_power_of_2(hidden), residual is not None, number_of_parts(x),
        num_warps=8 if hidden >= 2048 else 4, **launch(normed, early),
    )  # fmt: skip
    return normed, total
