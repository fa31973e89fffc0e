"""The operations of `model/batch.py` as kernels. `known`, `updates` and `requests` may lie in pinned host memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.batch import FIELDS, StepBuffers, TokenStore

_TILE = 256
_PIECE = 4096
"""Logits that a program looks at."""


@triton.jit(do_not_specialize=["row", "count"])
def _admit(given, count, tokens, known, row, length, TILE: tl.constexpr):
    entry = tl.program_id(0) * TILE + tl.arange(0, TILE)
    mask = entry < count
    tl.store(tokens + row.to(tl.int64) * length + entry, tl.load(given + entry, mask=mask, other=0), mask=mask)
    if tl.program_id(0) == 0:
        tl.store(known + row, count)


@triton.jit(do_not_specialize=["count"])
def _update_tables(updates, count, tables, width, TILE: tl.constexpr):
    entry = tl.program_id(0) * TILE + tl.arange(0, TILE)
    mask = entry < count
    row = tl.load(updates + entry * 3, mask=mask, other=0).to(tl.int64)
    block = tl.load(updates + entry * 3 + 1, mask=mask, other=0)
    slot = tl.load(updates + entry * 3 + 2, mask=mask, other=0)
    tl.store(tables + row * width + block, slot, mask=mask)


@triton.jit
def _expand(
    requests, tokens, length, tables, width,
    out_tokens, out_positions, out_slots, out_offsets, out_start, out_context, out_tables, out_sample,
    FIELDS: tl.constexpr, BLOCK_TOKENS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0)
    entry = tl.program_id(1) * TILE + tl.arange(0, TILE)
    row = tl.load(requests + number * FIELDS).to(tl.int64)
    computed = tl.load(requests + number * FIELDS + 1)
    scheduled = tl.load(requests + number * FIELDS + 2)
    start = tl.load(requests + number * FIELDS + 3)
    pads = computed < 0

    mine = entry < scheduled
    position = tl.maximum(computed + entry, 0)
    token = tl.load(tokens + row * length + position, mask=mine, other=0)
    slot = tl.load(tables + row * width + position // BLOCK_TOKENS, mask=mine, other=0)
    tl.store(out_tokens + start + entry, token, mask=mine)
    tl.store(out_positions + start + entry, position, mask=mine)
    tl.store(out_slots + start + entry, tl.where(pads, 0, slot), mask=mine)
    tl.store(out_offsets + start + entry, position % BLOCK_TOKENS, mask=mine)

    context = computed + scheduled
    held = entry < tl.cdiv(context, BLOCK_TOKENS)
    table = tl.load(tables + row * width + entry, mask=held, other=0)
    tl.store(out_tables + number.to(tl.int64) * width + entry, table, mask=held)
    if tl.program_id(1) == 0:
        tl.store(out_start + number, start)
        tl.store(out_start + number + 1, start + scheduled)
        tl.store(out_context + number, context)
        tl.store(out_sample + number, (start + scheduled - 1).to(tl.int64))


@triton.jit
def _best_of_pieces(logits, tokens, values, vocabulary, PIECES: tl.constexpr, PIECE: tl.constexpr):
    """The largest logit of each piece of a row, where NaN is the largest, and the first token that has it."""
    row = tl.program_id(0).to(tl.int64)
    piece = tl.program_id(1)
    token = piece * PIECE + tl.arange(0, PIECE)
    value = tl.load(logits + row * vocabulary + token, mask=token < vocabulary, other=-float("inf")).to(tl.float32)
    value = tl.where(value != value, float("inf"), value)
    best, place = tl.max(value, 0, return_indices=True)
    tl.store(values + row * PIECES + piece, best)
    tl.store(tokens + row * PIECES + piece, piece * PIECE + place)


@triton.jit
def _keep(
    requests, logits, best_tokens, best_values, vocabulary, tokens, known, sampled, evidence, length,
    PIECES: tl.constexpr, PADDED: tl.constexpr, FIELDS: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0)
    row = tl.load(requests + number * FIELDS).to(tl.int64)
    position = tl.load(requests + number * FIELDS + 1) + tl.load(requests + number * FIELDS + 2)
    produces = tl.load(requests + number * FIELDS + 4) != 0
    piece = tl.arange(0, PADDED)
    values = tl.load(best_values + number * PIECES + piece, mask=piece < PIECES, other=-float("inf"))
    _, best = tl.max(values, 0, return_indices=True)
    said = tl.load(best_tokens + number * PIECES + best)
    at = row * length + position
    tl.store(sampled + at, said, mask=produces)
    tl.store(evidence + at, tl.load(logits + tl.cast(number, tl.int64) * vocabulary + said), mask=produces)
    tl.store(tokens + at, said, mask=produces & (position >= tl.load(known + row)))


def admit(store: TokenStore, row: int, known: torch.Tensor) -> None:
    length = store.tokens.shape[1]
    grid = (triton.cdiv(max(len(known), 1), _TILE),)
    _admit[grid](known, len(known), store.tokens, store.known, row, length, _TILE)


def update_tables(store: TokenStore, updates: torch.Tensor) -> None:
    tables = store.tables
    _update_tables[(triton.cdiv(len(updates), _TILE),)](updates, len(updates), tables, tables.shape[1], _TILE)


def expand(store: TokenStore, requests: torch.Tensor, buffers: StepBuffers, max_query: int) -> None:
    tokens, tables = store.tokens, store.tables
    grid = (len(requests), triton.cdiv(max(max_query, tables.shape[1]), _TILE))
    _expand[grid](
        requests, tokens, tokens.shape[1], tables, tables.shape[1],
        buffers.tokens, buffers.positions, buffers.slots, buffers.offsets,
        buffers.query_start, buffers.context, buffers.tables, buffers.sample,
        FIELDS, BLOCK_TOKENS, _TILE,
    )  # fmt: skip


def keep(store: TokenStore, requests: torch.Tensor, logits: torch.Tensor) -> None:
    count, vocabulary = logits.shape
    pieces = triton.cdiv(vocabulary, _PIECE)
    tokens = torch.empty((count, pieces), dtype=torch.int32, device=logits.device)
    values = torch.empty((count, pieces), dtype=torch.float32, device=logits.device)
    _best_of_pieces[(count, pieces)](logits, tokens, values, vocabulary, pieces, _PIECE)
    _keep[(count,)](
        requests, logits, tokens, values, vocabulary, store.tokens, store.known, store.sampled, store.evidence,
        store.tokens.shape[1], pieces, triton.next_power_of_2(pieces), FIELDS,
    )  # fmt: skip
