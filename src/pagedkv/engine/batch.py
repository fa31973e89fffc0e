"""What one step computes."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pagedkv.engine.requests import Request
from pagedkv.geometry import BLOCK_TOKENS


class Batch:
    """Requests in batch order, and what a step does for each; to a device it is a `device.base.Step`.

    It says where the requests stood when the step was scheduled, and does not move on with them. It is made of lists,
    which are quicker than arrays where requests are few; columns are made when somebody asks for them.
    """

    def __init__(self, requests: list[Request], *lists: list) -> None:
        """`lists`: tokens computed before the step; tokens of the step; whether it reaches the end of what is known and
        produces a token; whether the request has produced some already, and only the last one is left to compute."""
        self.requests = requests
        self.lists = lists
        self.names = Names(requests)

    @staticmethod
    def of(requests: list[Request], tokens: list[int]) -> Batch:
        """`tokens[i]` of `requests[i]`."""
        computed = [request.computed for request in requests]
        remaining = [request.prompt_tokens + request.produced - request.computed for request in requests]
        produces = [count == left for count, left in zip(tokens, remaining, strict=True)]
        decoding = [left == 1 and request.produced > 0 for left, request in zip(remaining, requests, strict=True)]
        return Batch(requests, computed, tokens, produces, decoding)

    @staticmethod
    def within(requests: list[Request], budget: int) -> Batch:
        """All that is known of `requests`, one after the other until `budget` tokens are spent."""
        tokens = [request.prompt_tokens + request.produced - request.computed for request in requests]
        if sum(tokens) > budget:
            tokens = _cut(tokens, budget)
        return Batch.of(requests[: len(tokens)], tokens)

    def first(self, count: int) -> Batch:
        """What it does for the first `count` requests."""
        if count >= len(self):
            return self
        return Batch(self.requests[:count], *(values[:count] for values in self.lists))

    def __add__(self, other: Batch) -> Batch:
        self.settle()
        lists = zip(self.lists, other.lists, strict=True)
        return Batch(self.requests + other.requests, *(mine + others for mine, others in lists))

    def __len__(self) -> int:
        return len(self.requests)

    # ------------------------------------------------------------ when it has been computed
    def advance(self, steps: int, first_s: float, last_s: float) -> tuple[list[float], int]:
        """Move the requests on by `steps` such steps, the first of which ended at `first_s` and the last at `last_s`.

        Returns times between a token of the first step and the one before, and how many requests saw each.
        """
        gaps = []
        _, tokens, produces, _ = self.lists
        for request, count, said in zip(self.requests, tokens, produces, strict=True):
            request.computed += count * steps
            if not said:
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

    # ------------------------------------------------------------ what follows
    @property
    def goes_on(self) -> bool:
        """There are requests, and every one of them produces a token and will decode in the next step."""
        return len(self) > 0 and all(self.lists[2])

    @cached_property
    def decodes(self) -> int:
        """Requests that decode."""
        return sum(self.lists[3])

    @cached_property
    def work(self) -> tuple[int, int, float]:
        """(tokens, context tokens, query-key pairs of prefill chunks) of the step, for the roofline."""
        computed, tokens, *_ = self.lists
        total, pairs = sum(tokens), 0.0
        if total > len(self):
            chunks = zip(computed, tokens, strict=True)
            pairs = sum(count * (done + (count + 1) / 2) for done, count in chunks if count > 1)
        return total, sum(computed) + total, pairs

    @property
    def blocks(self) -> list[int]:
        """Blocks that attention reads of each request: all up to the last token of the step."""
        computed, tokens, *_ = self.lists
        return [-(-(done + count) // BLOCK_TOKENS) for done, count in zip(computed, tokens, strict=True)]

    @cached_property
    def growing(self) -> list[tuple[int, int]]:
        """(row, blocks) of the requests that need new blocks for their tokens."""
        new = [end - request.blocks for end, request in zip(self.blocks, self.requests, strict=True)]
        return [(row, blocks) for row, blocks in enumerate(new) if blocks > 0]

    @cached_property
    def filling(self) -> list[tuple[Request, int, int]]:
        """(request, first block, end of blocks) where the step makes blocks full."""
        rows = zip(self.requests, *self.lists[:2], strict=True)
        edges = [(request, done // BLOCK_TOKENS, (done + count) // BLOCK_TOKENS) for request, done, count in rows]
        return [edge for edge in edges if edge[2] > edge[1]]

    @property
    def filled(self) -> np.ndarray:
        """Contents of the blocks that the step makes full, in batch order."""
        parts = [request.table[first:end] for request, first, end in self.filling]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    # ------------------------------------------------------------ columns
    @property
    def numbers(self) -> np.ndarray:
        return self.names.numbers

    @property
    def ranks(self) -> np.ndarray:
        return self.names.ranks

    @cached_property
    def computed(self) -> np.ndarray:
        return np.array(self.lists[0], np.int64)

    @cached_property
    def tokens(self) -> np.ndarray:
        return np.array(self.lists[1], np.int64)

    @cached_property
    def produces(self) -> np.ndarray:
        return np.array(self.lists[2], np.bool_)

    @property
    def beginning(self) -> list[int]:
        """Rows of requests whose next token is the first one of a block."""
        return [row for row, done in enumerate(self.lists[0]) if done % BLOCK_TOKENS == 0]


class Names:
    """Columns that stay as they are while a batch goes on."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests

    @cached_property
    def numbers(self) -> np.ndarray:
        return np.array([request.number for request in self._requests], np.int64)

    @cached_property
    def ranks(self) -> np.ndarray:
        return np.array([request.rank for request in self._requests], np.int64)


def _cut(tokens: list[int], budget: int) -> list[int]:
    """As many of `tokens` as fit into `budget`, the last one cut."""
    cut = []
    for count in tokens:
        if budget == 0:
            break
        cut.append(min(count, budget))
        budget -= cut[-1]
    return cut
