"""Triton's interpreter (TRITON_INTERPRET=1) with NumPy 2.4, for tests on a CPU."""

from __future__ import annotations

import triton
from triton.runtime import interpreter


def mend() -> None:
    """Let loops have bounds that are computed in the kernel.

    The interpreter of Triton 3.6 keeps scalars as arrays of one element, which NumPy 2.4 no longer converts to int.
    """
    patch = interpreter._patch_lang_tensor
    if getattr(patch, "mended", False):
        return

    def patch_and_mend(tensor: type, scope: object) -> None:
        patch(tensor, scope)
        tensor.__index__ = lambda self: self.handle.data.item()

    patch_and_mend.mended = True
    interpreter._patch_lang_tensor = patch_and_mend


if triton.knobs.runtime.interpret:
    mend()
