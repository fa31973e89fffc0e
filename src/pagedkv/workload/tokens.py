"""Token ids of a request, for devices that really compute.

A request table names blocks, not tokens. Each token is drawn by hashing the id of its piece and its place there, so
that equal ids are equal tokens, which is what the ids mean; a token that no other request shares is drawn from its
request and position. Outputs that the table knows (a later turn quotes them) are given to the model instead of its own
samples, as else a later prompt would not match the cached blocks.
"""

from __future__ import annotations

import numpy as np

from pagedkv.mix import splitmix64
from pagedkv.workload.table import RequestTable


def known_tokens(table: RequestTable, row: int, vocabulary: int) -> np.ndarray:
    """Tokens of request `row` that are known before it runs: its prompt, and its outputs as far as the table has them.

    int32, of length max(prompt, known tokens).
    """
    return _drawn(table, row, vocabulary, max(int(table.prompt_tokens[row]), int(table.known_tokens[row])))


def all_tokens(table: RequestTable, row: int, vocabulary: int) -> np.ndarray:
    """Prompt and output of request `row`, for an engine whose model is left out; int32."""
    return _drawn(table, row, vocabulary, int(table.prompt_tokens[row] + table.output_tokens[row]))


def _drawn(table: RequestTable, row: int, vocabulary: int, length: int) -> np.ndarray:
    known = min(int(table.known_tokens[row]), length)
    positions = np.arange(length, dtype=np.int64)
    # Private tokens take negative numbers, which no id has.
    owner, place = np.full(length, -1 - row, np.int64), positions.copy()
    if table.block_tokens and known:
        shared = positions[:known]
        owner[:known] = table.block_ids(row)[shared // table.block_tokens]
        place[:known] = shared % table.block_tokens
    drawn = splitmix64(splitmix64(owner.view(np.uint64)) + place.view(np.uint64))
    return (drawn % np.uint64(vocabulary)).astype(np.int32)
