"""Early launch: the next kernel of a stream may start while the last one still runs (programmatic dependent launch).

A kernel that is launched so lets its successor start, does what depends on nothing, and then waits for all earlier
kernels (`wait_for_earlier`) before it touches what they write or read. That hides the start of each kernel behind the
end of the one before. But programs that wait take room from those that work, and what room is left decides where they
run: a long kernel may lose more than it gains. So that each kernel is told whether to do it, by `tuned`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl

NO, AT_ONCE, AT_END = range(3)
"""Whether a kernel starts early, and when it lets its successor start: with its own start, or, products alone, when its
programs have done most of their work. A successor without early launch always starts when all is done."""


@triton.jit
def may_start_next(EARLY: tl.constexpr):
    """At the begin of a kernel."""
    if EARLY == 1:
        tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def may_start_next_at_end(EARLY: tl.constexpr):
    if EARLY == 2:
        tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def wait_for_earlier(EARLY: tl.constexpr):
    if EARLY > 0:
        tl.extra.cuda.gdc_wait()


@triton.jit
def fetch_ahead(places, size):
    """Ask for the `size` elements, a multiple of 16 bytes, at each of these pointers to be brought into the L2 cache.

    At least as many pointers as the program has threads, or each is asked for more than once.
    """
    tl.inline_asm_elementwise(
        "cp.async.bulk.prefetch.L2.global [$1], $2; mov.u32 $0, 0;", "=r,l,r",
        [places.to(tl.int64), size * (places.dtype.element_ty.primitive_bitwidth // 8)],
        dtype=tl.int32, is_pure=False, pack=1,
    )  # fmt: skip


def launch(x: torch.Tensor, early: int) -> dict[str, Any]:
    """The constant EARLY of a kernel on the device of `x`, and its launch options. Off before Hopper."""
    return _options(x.device.type, x.device.index, early)


@cache
def _options(kind: str, index: int | None, early: int) -> dict[str, Any]:
    able = early and kind == "cuda" and torch.cuda.get_device_capability(index)[0] >= 9
    return {"EARLY": early, "launch_pdl": True} if able else {"EARLY": NO}
