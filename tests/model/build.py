"""Requests run through a decoder by hand: block tables that jump about in a pool full of NaN."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.decoder import Decoder, empty_pool
from pagedkv.model.step import Rows


class Paged:
    """A decoder with a pool of its own. Tokens that were given to a request stay its context."""

    def __init__(self, decoder: Decoder, slots: int = 64) -> None:
        self.decoder = decoder
        embedding = decoder.weights.embedding
        self.pool = empty_pool(decoder.config.geometry, slots, embedding.device, embedding.dtype).fill_(torch.nan)
        self.tables: dict[str, list[int]] = {}
        self.lengths: dict[str, int] = {}
        self._free = random.Random(0).sample(range(1, slots), slots - 1)

    def step(self, **tokens: Sequence[int]) -> torch.Tensor:
        """Give each named request its next tokens, all in one step; logits of every flat token."""
        for name, new in tokens.items():
            self.lengths[name] = self.lengths.get(name, 0) + len(new)
            table = self.tables.setdefault(name, [])
            while len(table) * BLOCK_TOKENS < self.lengths[name]:
                table.append(self._free.pop())
        device = self.pool.device
        rows = Rows.of(
            [len(new) for new in tokens.values()],
            [self.lengths[name] for name in tokens],
            [self.tables[name] for name in tokens],
            device,
        )
        flat = torch.tensor([token for new in tokens.values() for token in new], dtype=torch.int32, device=device)
        return self.decoder.forward(flat, rows, self.pool)


def prompt(length: int, vocabulary: int, seed: int = 0) -> list[int]:
    """Random token ids."""
    return random.Random(seed).choices(range(vocabulary), k=length)
