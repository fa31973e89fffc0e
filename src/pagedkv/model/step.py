"""What attention has to know about the batch of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pagedkv.geometry import BLOCK_TOKENS


@dataclass(frozen=True)
class Rows:
    """Where the tokens of one step belong. n requests in batch order, T tokens, all tensors on the model's device.

    The tokens of a request are its newest ones, and are adjacent in the flat order. A row that only pads a CUDA graph
    is a request of one token at position 0 with context 0 (or 1) and slot 0, the null block: what it computes and
    writes is not defined, and nobody reads it.
    """

    query_start: torch.Tensor
    """int32 [n + 1]: request r has the flat tokens query_start[r] to query_start[r + 1]."""
    context: torch.Tensor
    """int32 [n]: tokens of the request with K and V after this step, those of this step included."""
    tables: torch.Tensor
    """int32 [n, blocks], row-major: GPU slots of the request's blocks in order. Entries past its context are unread."""
    slots: torch.Tensor
    """int32 [T]: GPU slot into which the token's K and V are written."""
    offsets: torch.Tensor
    """int32 [T]: its place in that block, position % 16."""
    positions: torch.Tensor
    """int32 [T]: its position in its request, from 0."""
    decode_only: bool
    """Every request has exactly one token: T = n."""
    max_query: int
    """Largest number of tokens of a request in this step."""

    @staticmethod
    def of(
        scheduled: Sequence[int],
        context: Sequence[int],
        tables: Sequence[Sequence[int]],
        device: torch.device | str = "cpu",
    ) -> Rows:
        """The rows of requests with `scheduled` tokens in this step and `context` after it, and these block tables.

        Made on the host, for tests and measurements: an engine that runs ahead fills buffers of its own.
        """
        blocks = max(len(table) for table in tables)
        padded = torch.tensor([[*table, *[0] * (blocks - len(table))] for table in tables])
        tokens = torch.tensor(scheduled)
        request = torch.repeat_interleave(torch.arange(len(tokens)), tokens)
        ends = tokens.cumsum(0)
        positions = torch.arange(int(ends[-1])) + (torch.tensor(context) - ends)[request]

        def on_device(values: torch.Tensor) -> torch.Tensor:
            return values.to(device, torch.int32)

        return Rows(
            query_start=on_device(torch.cat([torch.zeros(1, dtype=ends.dtype), ends])),
            context=on_device(torch.tensor(context)),
            tables=on_device(padded),
            slots=on_device(padded[request, positions // BLOCK_TOKENS]),
            offsets=on_device(positions % BLOCK_TOKENS),
            positions=on_device(positions),
            decode_only=max(scheduled) == 1,
            max_query=max(scheduled),
        )
