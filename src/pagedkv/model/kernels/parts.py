"""Results of products that come in parts, float32 [parts, T, n]: the kernel that reads one adds its parts up, in order.

Where a kernel takes such a tensor, it takes a plain one [T, n] as well.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def sum_of_parts(places, real, apart, PARTS: tl.constexpr):
    """float32; the parts of one place are `apart` elements from each other. Zero where `real`, if given, is false."""
    other = None if real is None else 0.0
    result = tl.load(places, mask=real, other=other).to(tl.float32)
    for part in tl.static_range(1, PARTS):
        result += tl.load(places + part * apart, mask=real, other=other)
    return result


def number_of_parts(x: torch.Tensor) -> int:
    return 1 if x.ndim == 2 else len(x)
