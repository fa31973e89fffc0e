"""Early launch: the next kernel of a stream may start while the last one still runs (programmatic dependent launch).

A kernel that is launched so allows its successor to start (`may_start_next`), does what depends on nothing, and then
waits for all earlier kernels (`wait_for_earlier`) before it touches what they write or read. That hides the start of
each kernel behind the end of the one before: on an H200 6 % of a decode step of one request, of some three hundred
short kernels. With many rows kernels are long, and those that wait take room from those that work: 3 % slower at 64.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl

MOST_ROWS = 16


@triton.jit
def may_start_next(EARLY: tl.constexpr):
    if EARLY:
        tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def wait_for_earlier(EARLY: tl.constexpr):
    if EARLY:
        tl.extra.cuda.gdc_wait()


def early(x: torch.Tensor) -> dict[str, Any]:
    """Launch options, and the constant EARLY, of a kernel that works on the rows of `x`: on for few of them, on Hopper
    and later."""
    return _options(x.device.type, x.device.index, len(x) <= MOST_ROWS)


@cache
def _options(kind: str, index: int | None, few: bool) -> dict[str, Any]:
    able = few and kind == "cuda" and torch.cuda.get_device_capability(index)[0] >= 9
    return {"EARLY": True, "launch_pdl": True} if able else {"EARLY": False}
