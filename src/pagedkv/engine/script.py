"""A trace as the memory has to play it: for each step, who leaves, who joins, what is created, what becomes full.

`scripting.py` makes it, once a trace; all replays of the trace share it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pagedkv.geometry import BLOCK_TOKENS

NEVER = np.int64(1 << 40)
_NONE = np.zeros(0, np.int64)


@dataclass
class Leave:
    """A request is not in the batch from this step on. `contents` in block order; `partial`: the unfilled last one;
    `finished`: nobody will read that one again."""

    request: int
    contents: np.ndarray
    partial: np.ndarray
    finished: bool


@dataclass
class Enter:
    """A request joins the batch and reads existing `contents`; `next_use[i]` is the step of the next entry after this
    one that reads contents[i]."""

    request: int
    contents: np.ndarray
    partial: np.ndarray
    rank: int
    next_use: np.ndarray = field(default_factory=lambda: _NONE)


@dataclass
class StepEvents:
    """What happens at the boundary before a step and, for `filled`, at its end."""

    leaves: list[Leave] = field(default_factory=list)
    enters: list[Enter] = field(default_factory=list)
    created: np.ndarray = field(default_factory=lambda: _NONE)
    joined: list[np.ndarray] = field(default_factory=list)
    """For each request that hits blocks which another one creates in this very step: those contents."""
    filled: np.ndarray = field(default_factory=lambda: _NONE)
    queue: list[tuple[int, int]] = field(default_factory=list)
    """(kind, request) deltas of the waiting queue, in order."""
    finished: list[int] = field(default_factory=list)
    """Requests that have produced their last token; they are among those that leave."""


@dataclass(frozen=True)
class Turn:
    """What a trace says of a request as a whole.

    `number`: place in the session. `following`: request of the session's next turn, None if it has none.
    `arrival_step`: step at whose boundary it joins the queue, None if that is not in the script.
    """

    session: int
    number: int
    prompt_tokens: int
    output_tokens: int
    following: int | None
    arrival_step: int | None


@dataclass
class Script:
    """All of a trace's events. Arrays are indexed by step; `events` holds only the steps at which something happens."""

    compute_s: np.ndarray
    idle_s: np.ndarray
    events: dict[int, StepEvents]
    event_steps: np.ndarray
    contents: int
    created_step: np.ndarray
    """Step in which each content is first written."""
    first_use: np.ndarray
    """Step of the first entry that reads each content after its creation."""
    entries: list[tuple[int, int, np.ndarray]]
    """(step, request, contents) of all entries, by step and rank."""
    largest_read_set: int
    pool_blocks: int = 0
    """Slots of the recorded pool, the null block included: the room by which its scheduler decided."""
    runs: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    """Request -> (step, steps, computed tokens, tokens a step) of its runs, by step."""
    table_rows: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    """Request -> (step, first block, blocks, first content) of its block table, by step."""
    turns: dict[int, Turn] = field(default_factory=dict)
    """Of each request that finished in the recorded run."""

    def blocks_read(self, request: int, step: int) -> int:
        """Blocks that `request` reads in `step`, in which it is scheduled."""
        return -(-sum(self.tokens_at(request, step)) // BLOCK_TOKENS)

    def tokens_at(self, request: int, step: int) -> tuple[int, int]:
        """Tokens that `request`, which is scheduled in `step`, has computed before it and computes in it."""
        runs = self.runs[request]
        first, _, computed, tokens = runs[bisect_right(runs, step, key=lambda run: run[0]) - 1]
        return computed + (step - first) * tokens, tokens

    @cached_property
    def creators(self) -> tuple[np.ndarray, np.ndarray]:
        """(request whose table names it first, block of that table) of each content."""
        request, block = np.full(self.contents, -1, np.int64), np.full(self.contents, -1, np.int64)
        rows = [(step, number, *row) for number, table in self.table_rows.items() for step, *row in table]
        for _, number, first, count, content in sorted(rows, reverse=True):
            request[content : content + count] = number
            block[content : content + count] = np.arange(first, first + count)
        return request, block

    @cached_property
    def boundary_s(self) -> np.ndarray:
        """Time of the boundary before each step, and of the end, if nothing stalls."""
        return np.concatenate([[0.0], np.cumsum(self.compute_s + self.idle_s)])

    @property
    def steps(self) -> int:
        return len(self.compute_s)
