"""From what the host says of a step to what the model reads: tokens, positions, slots and block tables, on the device.

The host says little, in pinned memory that the device reads by itself: five numbers a request and the new entries of
block tables. A copy of that would wait in the link's queue behind the blocks that are loaded meanwhile. Token ids never
leave the device: what a step samples is the input of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.decoder import greedy
from pagedkv.model.step import Rows

FIELDS = 5
ROW, COMPUTED, SCHEDULED, START, PRODUCES = range(FIELDS)
"""Columns of `requests`: row of the request in `TokenStore`; tokens computed before the step (-1: the entry only pads a
CUDA graph); tokens of the step; its first flat token; whether it reaches the end of its known tokens."""
UPDATE = 3
"""Columns of `updates`: row of the request, number of the block in its table, GPU slot."""


@dataclass(frozen=True)
class TokenStore:
    """Tokens and block tables of live requests, one row each; the last row takes what padding entries write."""

    tokens: torch.Tensor
    """int32 [rows + 1, tokens]: the request's tokens as far as they are known."""
    known: torch.Tensor
    """int32 [rows + 1]: tokens given from outside; what is sampled below that is not used as input."""
    sampled: torch.Tensor
    """int32 [rows + 1, tokens]: what the model said stands at each position."""
    evidence: torch.Tensor
    """float32, of the same shape: the logit of that token."""
    tables: torch.Tensor
    """int32 [rows + 1, blocks]: GPU slots of the request's blocks."""

    @staticmethod
    def empty(rows: int, tokens: int, device: torch.device | str) -> TokenStore:
        def store(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        return TokenStore(
            tokens=store(rows + 1, tokens),
            known=store(rows + 1),
            sampled=store(rows + 1, tokens),
            evidence=store(rows + 1, tokens, dtype=torch.float32),
            tables=store(rows + 1, -(-tokens // BLOCK_TOKENS)),
        )

    @property
    def padding_row(self) -> int:
        return len(self.known) - 1


@dataclass(frozen=True)
class StepBuffers:
    """Device memory for the inputs of one step of up to `requests` requests and `tokens` tokens, at fixed addresses."""

    tokens: torch.Tensor
    positions: torch.Tensor
    slots: torch.Tensor
    offsets: torch.Tensor
    query_start: torch.Tensor
    context: torch.Tensor
    tables: torch.Tensor
    sample: torch.Tensor

    @staticmethod
    def empty(requests: int, tokens: int, blocks: int, device: torch.device | str) -> StepBuffers:
        def flat(count: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
            return torch.zeros(count, dtype=dtype, device=device)

        return StepBuffers(
            tokens=flat(tokens),
            positions=flat(tokens),
            slots=flat(tokens),
            offsets=flat(tokens),
            query_start=flat(requests + 1),
            context=flat(requests),
            tables=torch.zeros((requests, blocks), dtype=torch.int32, device=device),
            sample=flat(requests, torch.int64),
        )

    def rows(self, requests: int, tokens: int, max_query: int) -> Rows:
        """The part that a step of this size uses."""
        return Rows(
            query_start=self.query_start[: requests + 1],
            context=self.context[:requests],
            tables=self.tables[:requests],
            slots=self.slots[:tokens],
            offsets=self.offsets[:tokens],
            positions=self.positions[:tokens],
            decode_only=max_query == 1,
            max_query=max_query,
        )


def admit(store: TokenStore, row: int, known: torch.Tensor) -> None:
    """A request takes `row`; its tokens `known`, int32 in host memory, are given."""
    store.tokens[row, : len(known)] = known
    store.known[row] = len(known)


def update_tables(store: TokenStore, updates: torch.Tensor) -> None:
    """Block-table entries `updates` [u, UPDATE]."""
    row, block, slot = updates.long().unbind(1)
    store.tables[row, block] = slot.to(torch.int32)


def expand(store: TokenStore, requests: torch.Tensor, buffers: StepBuffers, max_query: int) -> None:
    """Fill `buffers` for a step of `requests` [n, FIELDS]."""
    begin = 0
    for number, (row, computed, scheduled, start, _) in enumerate(requests.tolist()):
        flat = slice(start, start + scheduled)
        position = torch.arange(computed, computed + scheduled).clamp(min=0)
        buffers.tokens[flat] = store.tokens[row, position]
        buffers.positions[flat] = position.to(torch.int32)
        buffers.slots[flat] = store.tables[row, position // BLOCK_TOKENS] if computed >= 0 else 0
        buffers.offsets[flat] = (position % BLOCK_TOKENS).to(torch.int32)
        buffers.query_start[number] = start
        buffers.context[number] = computed + scheduled
        blocks = -(-(computed + scheduled) // BLOCK_TOKENS)
        buffers.tables[number, :blocks] = store.tables[row, :blocks]
        buffers.sample[number] = start + scheduled - 1
        begin = start + scheduled
    buffers.query_start[len(requests)] = begin


def keep(store: TokenStore, requests: torch.Tensor, logits: torch.Tensor) -> None:
    """Store the greedy tokens of `logits` [n, vocabulary], as the next input too where none was given."""
    token, logit = greedy(logits)
    for number, (row, computed, scheduled, _, produces) in enumerate(requests.tolist()):
        if not produces:
            continue
        position = computed + scheduled
        store.sampled[row, position] = token[number]
        store.evidence[row, position] = logit[number]
        if position >= int(store.known[row]):
            store.tokens[row, position] = token[number]
