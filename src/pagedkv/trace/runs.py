"""What requests read, as runs of steps."""

from __future__ import annotations

import numpy as np

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.schema import TABLES

_CLOSED = -1
"""Rank of a run of a request that has none."""


class Runs:
    """A run is a request in consecutive steps with the same number of tokens in each; anything else begins another."""

    def __init__(self) -> None:
        self._open = np.full((5, 0), _CLOSED, np.int64)
        """By request: first step, steps, rank, tokens computed before the first step, tokens of each."""
        self._closed: list[np.ndarray] = []
        self._batch: tuple[np.ndarray, ...] | None = None
        self._step = self._steps = 0

    def extend(
        self, step: int, steps: int, requests: np.ndarray, ranks: np.ndarray, computed: np.ndarray, tokens: np.ndarray
    ) -> None:
        """Request `requests[i]` is scheduled for `steps` steps from `step` on, with `tokens[i]` tokens in each.

        To give the very arrays of the last step again, `computed` excepted, is to say that the batch goes on.
        """
        last = self._batch
        if last and last[0] is requests and last[1] is ranks and last[3] is tokens and self._step + self._steps == step:
            self._steps += steps
            return
        self._add_batch()
        self._batch, self._step, self._steps = (requests, ranks, computed, tokens), step, steps

    def _add_batch(self) -> None:
        if self._batch is None:
            return
        requests, ranks, computed, tokens = self._batch
        self._batch = None
        self._fit(int(requests.max()))
        first, length, rank, begun, each = self._open[:, requests]
        goes_on = (first + length == self._step) & (begun + length * each == computed)
        goes_on &= (rank == ranks) & (each == tokens)
        self._open[1, requests[goes_on]] += self._steps
        begins = ~goes_on
        if begins.any():
            self._close(requests[begins])
            self._open[:2, requests[begins]] = [[self._step], [self._steps]]
            self._open[2:, requests[begins]] = ranks[begins], computed[begins], tokens[begins]

    def _fit(self, request: int) -> None:
        if request >= self._open.shape[1]:
            grown = np.full((5, max(1024, 2 * (request + 1))), _CLOSED, np.int64)
            grown[:, : self._open.shape[1]] = self._open
            self._open = grown

    def _close(self, requests: np.ndarray) -> None:
        requests = requests[self._open[2, requests] != _CLOSED]
        self._closed.append(np.vstack([self._open[:, requests], requests]))

    def close(self) -> dict[str, np.ndarray]:
        """All runs so far as the table `reads`, by step and then in batch order. None goes on."""
        self._add_batch()
        self._close(np.arange(self._open.shape[1]))
        self._open[2] = _CLOSED
        step, steps, rank, computed, tokens, request = np.concatenate(self._closed, axis=1)
        written, blocks = computed // BLOCK_TOKENS, -(-(computed + tokens) // BLOCK_TOKENS)
        order = np.lexsort((rank, step))
        columns = (step, steps, request, rank, np.zeros_like(step), blocks, written, computed, tokens)
        named = zip(TABLES["reads"].items(), columns, strict=True)
        return {name: column[order].astype(dtype) for (name, dtype), column in named}
