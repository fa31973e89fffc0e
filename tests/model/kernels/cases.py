"""Where kernels are tested, and paged contexts in a pool full of NaN.

On a CUDA device if there is one, in Triton's interpreter otherwise, which has no products in bfloat16.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from pagedkv.geometry import BLOCK_TOKENS

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
HALF = torch.bfloat16 if ON_GPU else torch.float16
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Of the whole result, in units of its norm."""
LAYER = 1


def error(found: torch.Tensor, right: torch.Tensor) -> float:
    """Norm of the difference in units of the norm of `right`; NaN if anything is."""
    difference = found.double() - right.double()
    return float(difference.norm() / right.double().norm())


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(DEVICE, dtype)


def poisoned(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.full(shape, torch.nan, dtype=dtype, device=DEVICE)


class Paged:
    """K and V of contexts, scattered over a pool that is NaN elsewhere, in unused places of used blocks too."""

    def __init__(
        self, contexts: Sequence[int], kv_heads: int, head_dim: int, dtype: torch.dtype, layers: int = 2, seed: int = 0
    ) -> None:
        counts = [-(-tokens // BLOCK_TOKENS) for tokens in contexts]
        free = random.Random(seed).sample(range(1, sum(counts) + 3), sum(counts))
        self.tables = [[free.pop() for _ in range(count)] or [0] for count in counts]
        self.pool = poisoned(sum(counts) + 3, layers, kv_heads, 2, BLOCK_TOKENS, head_dim, dtype=dtype)
        self.contents = [
            normal(2, tokens, kv_heads, head_dim, dtype=dtype, seed=seed + 1 + request)
            for request, tokens in enumerate(contexts)
        ]
        for table, content in zip(self.tables, self.contents, strict=True):
            position = torch.arange(content.shape[1])
            slots = torch.tensor(table)[position // BLOCK_TOKENS]
            self.pool[slots, LAYER, :, :, position % BLOCK_TOKENS] = content.permute(1, 2, 0, 3)

    def tables_of(self, requests: Sequence[int], width: int | None = None) -> torch.Tensor:
        """int32 [n, width]; entries past a request's blocks name the slot that is NaN all over."""
        width = width or max(len(self.tables[request]) for request in requests)
        spare = len(self.pool) - 1
        rows = [(self.tables[request] + [spare] * width)[:width] for request in requests]
        return torch.tensor(rows, dtype=torch.int32, device=DEVICE)

    def attention(self, request: int, q: torch.Tensor, positions: Sequence[int]) -> torch.Tensor:
        """In float64: attention of q [m, heads, head_dim], at `positions`, to the request's tokens up to each."""
        keys, values = self.contents[request].double().repeat_interleave(q.shape[1] // self.pool.shape[2], dim=2)
        scores = torch.einsum("mhd,thd->hmt", q.double(), keys) * q.shape[2] ** -0.5
        future = torch.arange(len(keys))[None, :] > torch.tensor(positions)[:, None]
        shares = scores.masked_fill(future.to(DEVICE), -torch.inf).softmax(dim=-1)
        return torch.einsum("hmt,thd->mhd", shares, values)
