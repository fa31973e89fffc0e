"""What one step computes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from pagedkv.engine.requests import Request
from pagedkv.geometry import BLOCK_TOKENS


class Batch:
    """Requests in batch order, and columns of what a step does for each.

    The columns say where the requests stood when the step was scheduled; they do not move on with them. It is a
    `device.base.Step`.

    | column | meaning |
    |---|---|
    | computed | tokens computed before the step |
    | tokens | tokens of the step |
    | produces | the step reaches the end of what is known of the request, and produces a token |
    | decoding | it has produced some already, and only the last one of them is left to compute |
    """

    def __init__(self, requests: Sequence[Request], *columns: np.ndarray) -> None:
        self.requests = requests
        self.computed, self.tokens, self.produces, self.decoding = columns

    @staticmethod
    def of(requests: Sequence[Request], tokens: Sequence[int]) -> Batch:
        """`tokens[i]` of `requests[i]`."""
        computed, remaining, decoding = _lengths(requests)
        scheduled = np.array(tokens, np.int64)
        return Batch(requests, computed, scheduled, scheduled == remaining, decoding)

    @staticmethod
    def within(requests: Sequence[Request], budget: int) -> Batch:
        """All that is known of `requests`, one after the other until `budget` tokens are spent."""
        computed, remaining, decoding = _lengths(requests)
        left = budget - (remaining.cumsum() - remaining)
        tokens = np.minimum(remaining, left)
        return Batch(requests, computed, tokens, tokens == remaining, decoding).first(int((left > 0).sum()))

    def first(self, count: int) -> Batch:
        """What it does for the first `count` requests."""
        if count >= len(self):
            return self
        return Batch(self.requests[:count], *(column[:count] for column in self._columns))

    def __add__(self, other: Batch) -> Batch:
        self.settle()
        columns = zip(self._columns, other._columns, strict=True)
        return Batch([*self.requests, *other.requests], *(np.concatenate(pair) for pair in columns))

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.computed, self.tokens, self.produces, self.decoding

    # ------------------------------------------------------------ when it has been computed
    def advance(self, steps: int, first_s: float, last_s: float) -> tuple[list[float], int]:
        """Move the requests on by `steps` such steps, the first of which ended at `first_s` and the last at `last_s`.

        Returns times between a token of the first step and the one before, and how many requests saw each.
        """
        gaps = []
        for request, tokens, produces in zip(self.requests, self.tokens.tolist(), self.produces.tolist(), strict=True):
            request.computed += tokens * steps
            if not produces:
                continue
            request.produced += steps
            if request.first_token_s < 0:
                request.first_token_s = first_s
            else:
                gaps.append(first_s - request.last_token_s)
            request.last_token_s = last_s
        return gaps, 1

    def settle(self) -> None:
        """Let the requests themselves know how far they are: to be called before they are asked."""

    @property
    def may_finish(self) -> bool:
        """Some request may have produced its last token."""
        return True

    # ------------------------------------------------------------ what follows from the columns
    @cached_property
    def goes_on(self) -> bool:
        """There are requests, and every one of them produces a token and will decode in the next step."""
        return len(self) > 0 and bool(self.produces.all())

    @cached_property
    def decodes(self) -> int:
        """Requests that decode."""
        return int(self.decoding.sum())

    @cached_property
    def work(self) -> tuple[int, int, float]:
        """(tokens, context tokens, query-key pairs of prefill chunks) of the step, for the roofline."""
        tokens = int(self.tokens.sum())
        pairs = (self.tokens * (self.computed + (self.tokens + 1) / 2))[self.tokens > 1]
        return tokens, int(self.computed.sum()) + tokens, float(pairs.sum())

    @cached_property
    def blocks(self) -> np.ndarray:
        """Blocks that attention reads of each request: all up to the last token of the step."""
        return -(-(self.computed + self.tokens) // BLOCK_TOKENS)

    @cached_property
    def growing(self) -> list[tuple[int, int]]:
        """(row, blocks) of the requests that need new blocks for their tokens."""
        new = self.blocks - np.array([request.blocks for request in self.requests], np.int64)
        rows = (new > 0).nonzero()[0]
        return list(zip(rows.tolist(), new[rows].tolist(), strict=True))

    @cached_property
    def filling(self) -> list[tuple[Request, int, int]]:
        """(request, first block, end of blocks) where the step makes blocks full."""
        first, end = self.computed // BLOCK_TOKENS, (self.computed + self.tokens) // BLOCK_TOKENS
        rows = (end > first).nonzero()[0]
        edges = zip(rows.tolist(), first[rows].tolist(), end[rows].tolist(), strict=True)
        return [(self.requests[row], low, high) for row, low, high in edges]

    @property
    def filled(self) -> np.ndarray:
        """Contents of the blocks that the step makes full, in batch order."""
        parts = [request.table[first:end] for request, first, end in self.filling]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    @cached_property
    def numbers(self) -> np.ndarray:
        return np.array([request.number for request in self.requests], np.int64)

    @cached_property
    def ranks(self) -> np.ndarray:
        return np.array([request.rank for request in self.requests], np.int64)


class Decode(Batch):
    """A batch that goes on: only the lengths of its requests change, by a token a step.

    What a step needs is the same as before then, or follows from the place in their blocks at which requests are. The
    requests are not touched: they lag behind until `settle`, because to visit each of them costs a host whose caches
    have gone cold during the step more than all the rest.
    """

    def __init__(self, before: Batch, steps: int = 1) -> None:
        """`steps` steps after `before`, which went on."""
        self.requests, self.numbers, self.ranks = before.requests, before.numbers, before.ranks
        self.computed = before.computed + steps * before.tokens
        self.decodes, self.goes_on = len(before), True
        if isinstance(before, Decode):
            self.tokens, self.produces, self.decoding = before.tokens, before.produces, before.decoding
            self._by_place, self._age = before._by_place, before._age + steps
            self._left, self._last_s = before._left, before._last_s
            self._lag, before._lag = before._lag, 0
        else:
            self.tokens = np.ones(len(before), np.int64)
            self.produces = self.decoding = np.ones(len(before), np.bool_)
            self._by_place, self._age = _by_place(self.computed), 0
            self._left = min(request.output_tokens - request.produced for request in self.requests)
            # All of them produced a token at the end of the step before.
            self._last_s, self._lag = self.requests[0].last_token_s, 0

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

    @cached_property
    def work(self) -> tuple[int, int, float]:
        return len(self), int(self.computed.sum()) + len(self), 0.0

    @cached_property
    def growing(self) -> list[tuple[int, int]]:
        begun = self._at(0)
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


def _lengths(requests: Sequence[Request]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tokens computed, known tokens not computed yet, whether it decodes) of each request."""
    computed = np.array([request.computed for request in requests], np.int64)
    produced = np.array([request.produced for request in requests], np.int64)
    remaining = np.array([request.prompt_tokens for request in requests], np.int64) + produced - computed
    return computed, remaining, (remaining == 1) & (produced > 0)
