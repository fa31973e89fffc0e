"""The operations that a decoder is made of: kernels on a GPU, plain torch elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pagedkv.model import reference
from pagedkv.model.step import Rows


@dataclass(frozen=True)
class Operations:
    """Functions with the contracts of their namesakes in `reference`; `linear(x, weight)` is `x @ weight.T`."""

    paged_decode: Callable[..., torch.Tensor] | None
    """None: `paged_prefill` does the work of both."""
    paged_prefill: Callable[..., torch.Tensor]
    write_kv_rope: Callable[..., torch.Tensor]
    rms_norm: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    silu_mul: Callable[[torch.Tensor], torch.Tensor]
    linear: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    named_linear: Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    """`linear` by the name of the matrix: qkv, attention_out, down, head. All but the head's may come in parts, float32
    [parts, T, n], which `write_kv_rope`, `decode_fresh` and `rms_norm` with a residual add up. None: `linear`."""
    swiglu: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    """`silu_mul` of `linear` at once. None: one after the other."""
    decode_fresh: Callable[..., torch.Tensor] | None = None
    """`write_kv_rope` and `paged_decode` at once. None: one after the other."""

    @staticmethod
    def choose(device: torch.device | str, batch_invariant: bool = False) -> Operations:
        """The operations for a device: the kernels on CUDA, the reference elsewhere.

        Batch-invariant: what a request computes does not depend, in any bit, on the other requests of its steps nor
        on how its prompt is cut into steps. Slower: one attention for prefill and decode, no tuned matrix products.
        """
        if torch.device(device).type == "cuda":
            from pagedkv.model import kernels

            return kernels.invariant_operations() if batch_invariant else kernels.tuned_operations()
        by_token = reference.paged_prefill_by_token
        return Operations(
            paged_decode=None if batch_invariant else reference.paged_decode,
            paged_prefill=by_token if batch_invariant else reference.paged_prefill,
            write_kv_rope=reference.write_kv_rope,
            rms_norm=reference.rms_norm,
            silu_mul=reference.silu_mul,
            linear=reference.linear_invariant if batch_invariant else reference.linear,
        )

    def product(self, name: str, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return self.named_linear(name, x, weight) if self.named_linear else self.linear(x, weight)

    def attention(self, q: torch.Tensor, pool: torch.Tensor, layer: int, rows: Rows) -> torch.Tensor:
        """Attention of q [T, heads, head_dim] to the requests' blocks; a new tensor of q's shape."""
        out = torch.empty_like(q)
        if rows.decode_only and self.paged_decode is not None:
            return self.paged_decode(q, pool, layer, rows.tables, rows.context, out)
        return self.paged_prefill(q, pool, layer, rows, out)
