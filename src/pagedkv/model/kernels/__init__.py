"""The operations of `reference` as Triton kernels for a GPU, with the same contracts.

With TRITON_INTERPRET=1, set before Triton is imported, they run on a CPU: slowly, for tests.
"""

from pagedkv.model.kernels import interpreter as _interpreter  # noqa: F401
from pagedkv.model.kernels.activation import silu_mul
from pagedkv.model.kernels.decode import paged_decode
from pagedkv.model.kernels.linear import linear_invariant
from pagedkv.model.kernels.norm import rms_norm
from pagedkv.model.kernels.prefill import paged_prefill
from pagedkv.model.kernels.rotary import write_kv_rope
from pagedkv.model.kernels.tuned import operations as tuned_operations
from pagedkv.model.operations import Operations

__all__ = [
    "invariant_operations",
    "linear_invariant",
    "paged_decode",
    "paged_prefill",
    "rms_norm",
    "silu_mul",
    "tuned_operations",
    "write_kv_rope",
]


def invariant_operations() -> Operations:
    """A row's bits depend on that row alone."""
    return Operations(None, paged_prefill, write_kv_rope, rms_norm, silu_mul, linear_invariant)
