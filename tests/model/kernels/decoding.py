"""Decode attention of a batch over paged contexts, and what is right for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tests.model.kernels.cases import DEVICE, LAYER, Paged, normal, poisoned

CONTEXTS = [1, 16, 17, 64, 65, 200, 1100]


def queries(request: int, heads: int, head_dim: int, dtype: torch.dtype) -> torch.Tensor:
    return normal(heads, head_dim, dtype=dtype, seed=100 + request)


def attended(
    attend: Callable[..., torch.Tensor],
    paged: Paged,
    requests: Sequence[int],
    heads: int,
    dtype: torch.dtype,
    tuning: object,
    programs: int | None = None,
) -> torch.Tensor:
    """What the kernel `attend` makes of one query of each of `requests`."""
    context = torch.tensor([paged.contents[r].shape[1] for r in requests], dtype=torch.int32, device=DEVICE)
    q = torch.stack([queries(r, heads, paged.pool.shape[5], dtype) for r in requests])
    out = poisoned(*q.shape, dtype=dtype)
    assert attend(q, paged.pool, LAYER, paged.tables_of(requests), context, out, tuning, programs) is out
    return out


def right(paged: Paged, requests: Sequence[int], heads: int, dtype: torch.dtype) -> torch.Tensor:
    """The same in float64."""
    rows = []
    for request in requests:
        q = queries(request, heads, paged.pool.shape[5], dtype)[None]
        rows.append(paged.attention(request, q, [paged.contents[request].shape[1] - 1])[0])
    return torch.stack(rows)
