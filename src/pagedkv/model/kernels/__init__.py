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
from pagedkv.model.kernels.thin import linear

__all__ = [
    "linear",
    "linear_invariant",
    "paged_decode",
    "paged_prefill",
    "rms_norm",
    "silu_mul",
    "write_kv_rope",
]
