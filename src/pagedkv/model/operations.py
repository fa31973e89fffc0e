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

    @staticmethod
    def choose(device: torch.device | str, batch_invariant: bool = False) -> Operations:
        """The operations for a device: the kernels on CUDA, the reference elsewhere.

        Batch-invariant: what a request computes does not depend, in any bit, on the other requests of its steps nor
        on how its prompt is cut into steps. Slower: one attention for prefill and decode, no tuned matrix products.
        """
        if torch.device(device).type == "cuda":
            from pagedkv.model import kernels as source

            by_token = source.paged_prefill
        else:
            source, by_token = reference, reference.paged_prefill_by_token
        return Operations(
            paged_decode=None if batch_invariant else source.paged_decode,
            paged_prefill=by_token if batch_invariant else source.paged_prefill,
            write_kv_rope=source.write_kv_rope,
            rms_norm=source.rms_norm,
            silu_mul=source.silu_mul,
            linear=source.linear_invariant if batch_invariant else source.linear,
        )

    def attention(self, q: torch.Tensor, pool: torch.Tensor, layer: int, rows: Rows) -> torch.Tensor:
        """Attention of q [T, heads, head_dim] to the requests' blocks; a new tensor of q's shape."""
        out = torch.empty_like(q)
        if rows.decode_only and self.paged_decode is not None:
            return self.paged_decode(q, pool, layer, rows.tables, rows.context, out)
        return self.paged_prefill(q, pool, layer, rows, out)
