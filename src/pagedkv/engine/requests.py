"""One live request."""

from __future__ import annotations

import math

import numpy as np

from pagedkv.geometry import BLOCK_TOKENS

PRIVATE = -1
"""Chain key of a block that no other request can share."""

NOT_COUNTED = -1
"""Of tokens that can be found: those that are computed."""


class Request:
    """What the scheduler knows of a request, and its block table.

    Tokens are counted as vLLM counts them: `computed` have their KV in blocks; `tokens` are prompt plus tokens
    produced so far. When `computed` reaches `tokens`, the step produces one more. The last token produced is never
    computed.
    """

    __slots__ = (
        "_blocks",
        "arrival_s",
        "cached",
        "computed",
        "first_token_s",
        "held_s",
        "hit_tokens",
        "in_flight",
        "keys",
        "last_token_s",
        "number",
        "output_tokens",
        "preempted",
        "produced",
        "progress",
        "prompt_tokens",
        "queued_s",
        "rank",
        "reached",
        "ready_s",
        "session",
        "shares",
        "table",
        "turn",
        "whole_at",
    )

    def __init__(
        self, number: int, session: int, turn: int, arrival_s: float, prompt: int, output: int, keys: np.ndarray
    ) -> None:
        self.number = number
        self.session = session
        self.turn = turn
        self.arrival_s = arrival_s
        self.prompt_tokens = prompt
        self.output_tokens = output
        self.keys = keys
        self.shares = bool((keys >= 0).any())
        """Some of its blocks can be found by another request, or by itself when it is computed again."""
        self.computed = 0
        self.produced = 0
        self.rank = -1
        self.hit_tokens = 0
        self.progress = 0
        """Tokens computed when it last left the batch."""
        self.reached = 0
        """The most tokens computed when it left the batch."""
        self.preempted = False
        self.ready_s = 0.0
        self.queued_s = arrival_s
        """When it joined the queue."""
        self.held_s = math.nan
        """When it was first passed over for its prefetch to go on, since it joined the queue."""
        self.first_token_s = -1.0
        self.last_token_s = -1.0
        self.whole_at = -1
        """Count of losses, kept by the KV manager, at which all of its blocks were known to exist."""
        self.cached = NOT_COUNTED
        """Asynchronous scheduling: tokens whose blocks, where they are full, can be found."""
        self.in_flight = False
        """Asynchronous scheduling: what it said last is not known yet."""
        self.table = np.zeros(0, np.int64)
        self._blocks = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.produced

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next one is produced."""
        return self.prompt_tokens + self.produced - self.computed

    @property
    def blocks(self) -> int:
        return self._blocks

    @property
    def contents(self) -> np.ndarray:
        """Contents of the block table, in block order (a view: do not keep it across an append)."""
        return self.table[: self._blocks]

    @property
    def partial(self) -> np.ndarray:
        """The block that the next token is appended to, if it is begun: an array of one content or of none.

        With asynchronous scheduling it may be full already, but not to be found.
        """
        if self.cached != NOT_COUNTED:
            return self.contents[self.cached // BLOCK_TOKENS :].copy()
        if self.computed % BLOCK_TOKENS == 0:
            return self.table[:0]
        last = self.computed // BLOCK_TOKENS
        return self.table[last : last + 1].copy()

    def append(self, contents: np.ndarray) -> None:
        needed = self._blocks + len(contents)
        if needed > len(self.table):
            grown = np.zeros(max(needed + 16, 2 * len(self.table)), np.int64)
            grown[: self._blocks] = self.table[: self._blocks]
            self.table = grown
        self.table[self._blocks : needed] = contents
        self._blocks = needed

    def append_one(self, content: int) -> int:
        """Returns which block of the table it is."""
        if self._blocks == len(self.table):
            self.append(np.array([content]))
        else:
            self.table[self._blocks] = content
            self._blocks += 1
        return self._blocks - 1

    def pause(self) -> None:
        """It leaves the batch unfinished."""
        self.progress = self.computed
        self.reached = max(self.reached, self.computed)

    def truncate(self, blocks: int) -> None:
        """Forget the table behind `blocks`, and the tokens computed there."""
        self._blocks = min(self._blocks, blocks)
        self.computed = min(self.computed, self._blocks * BLOCK_TOKENS)
