"""RMSNorm with the addition to the residual stream before it, in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pagedkv.model.kernels.early import early, may_start_next, wait_for_earlier


@triton.jit
def _add_and_norm(
    x, residual, weight, normed, total, eps,
    HIDDEN: tl.constexpr, BLOCK: tl.constexpr, ADD: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin = tl.program_id(0).to(tl.int64) * HIDDEN
    column = tl.arange(0, BLOCK)
    real = column < HIDDEN
    may_start_next(EARLY)
    scales = tl.load(weight + column, mask=real, other=0.0).to(tl.float32)
    wait_for_earlier(EARLY)
    value = tl.load(x + begin + column, mask=real, other=0.0)
    if ADD:
        added = value.to(tl.float32) + tl.load(residual + begin + column, mask=real, other=0.0).to(tl.float32)
        value = added.to(total.dtype.element_ty)
        tl.store(total + begin + column, value, mask=real)
    value = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / HIDDEN + eps)
    result = value * scale * scales
    tl.store(normed + begin + column, result.to(normed.dtype.element_ty), mask=real)


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor, eps: float, residual: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(norm of the sum, the sum) of x [T, hidden] and `residual`, if there is one, as rounded to its dtype.

    Without a residual the sum is `x` itself, not a copy.
    """
    hidden = x.shape[1]
    normed = torch.empty_like(x)
    total = x if residual is None else torch.empty_like(x)
    _add_and_norm[(len(x),)](
        x, residual, weight, normed, total, eps, hidden, triton.next_power_of_2(hidden), residual is not None,
        num_warps=8 if hidden >= 2048 else 4, **early(x),
    )  # fmt: skip
    return normed, total
