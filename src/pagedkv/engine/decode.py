"""A batch that decodes on."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pagedkv.engine.batch import Batch
from pagedkv.engine.requests import Request
from pagedkv.geometry import BLOCK_TOKENS


class Decode(Batch):
    """A batch that goes on: only the lengths of its requests change, by a token a step.

    What a step needs is the same as before then, or follows from the place in their blocks at which requests are. The
    requests are not touched: they lag behind until `settle`, because to visit each of them costs a host whose caches
    have gone cold during the step more than all the rest.
    """

    def __init__(self, before: Batch, steps: int = 1) -> None:
        """`steps` steps after `before`, which went on."""
        self.requests, self.names, self.decodes = before.requests, before.names, len(before)
        self.computed = before.computed + steps * before.tokens
        if before.decodes == len(before):
            self.tokens, self.produces = before.tokens, before.produces
        else:
            self.tokens, self.produces = np.ones(len(before), np.int64), np.ones(len(before), np.bool_)
        if isinstance(before, Decode):
            self._context = before._context + steps * len(before)
            self._by_place, self._age = before._by_place, before._age + steps
            self._left, self._last_s = before._left, before._last_s
            self._lag, before._lag = before._lag, 0
        else:
            self._context = int(self.computed.sum())
            self._by_place, self._age = _by_place(self.computed), 0
            self._left = min([request.output_tokens - request.produced for request in self.requests])
            # All of them produced a token at the end of the step before.
            self._last_s, self._lag = self.requests[0].last_token_s, 0

    @property
    def lists(self) -> tuple[list, ...]:
        ones = [True] * len(self)
        return self.computed.tolist(), [1] * len(self), ones, ones

    def advance(self, steps: int, first_s: float, last_s: float) -> tuple[list[float], int]:
        gap = first_s - self._last_s
        self._lag += steps
        self._left -= steps
        self._last_s = last_s
        return [gap], len(self)

    def settle(self) -> None:
        if self._lag:
            for request in self.requests:
                request.computed += self._lag
                request.produced += self._lag
                request.last_token_s = self._last_s
            self._lag = 0

    @property
    def may_finish(self) -> bool:
        return self._left <= 0

    @property
    def goes_on(self) -> bool:
        return True

    @property
    def work(self) -> tuple[int, int, float]:
        return len(self), self._context + len(self), 0.0

    @property
    def beginning(self) -> list[int]:
        return self._at(0)

    @cached_property
    def growing(self) -> list[tuple[int, int]]:
        begun = self.beginning
        return [(row, 1) for row in begun if self.requests[row].blocks * BLOCK_TOKENS == self.computed[row]]

    @cached_property
    def filling(self) -> list[tuple[Request, int, int]]:
        blocks = [(row, int(self.computed[row]) // BLOCK_TOKENS) for row in self._at(BLOCK_TOKENS - 1)]
        return [(self.requests[row], block, block + 1) for row, block in blocks]

    def _at(self, place: int) -> list[int]:
        """Rows of requests whose token goes to `place` of its block."""
        return self._by_place[(place - self._age) % BLOCK_TOKENS]


def _by_place(computed: np.ndarray) -> list[list[int]]:
    """Rows of requests by the place of their next token in its block."""
    rows: list[list[int]] = [[] for _ in range(BLOCK_TOKENS)]
    for row, place in enumerate((computed % BLOCK_TOKENS).tolist()):
        rows[place].append(row)
    return rows
