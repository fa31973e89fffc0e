"""What the recorder knows of vLLM's requests and steps while they are under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """What is known of one request. Fields of the first group are columns of the table `requests`."""

    number: int
    session: int
    turn: int
    arrival_s: float
    prompt_tokens: int
    output_tokens: int
    hit_tokens: int = 0

    rank: int = -1
    computed: int = 0
    """Tokens computed once the steps scheduled so far are done."""
    slots: list[int] = field(default_factory=list)
    preempted: bool = False


@dataclass
class Scheduled:
    """A step that was scheduled and has not been seen to end."""

    output: Any
    rows: list[tuple[Seen, list[int], int, int]]
    """Requests in batch order: tokens computed before the step, tokens of the step."""
    waiting: int
    waited_s: float
    """By the clock: time between the boundary and its scheduling in which nothing could be computed."""
    compute_s: float | None = None
    """What it computed for, if somebody knows; else all of its time counts but `waited_s`."""

    @property
    def work(self) -> tuple[int, int, float]:
        """As `engine.batch.Batch.work`."""
        total = sum(count for *_, count in self.rows)
        pairs = sum(count * (done + (count + 1) / 2) for *_, done, count in self.rows if count > 1)
        return total, sum(done for *_, done, _ in self.rows) + total, pairs

    @property
    def decodes(self) -> int:
        """Requests that decode."""
        return sum(count == 1 and done >= seen.prompt_tokens for seen, _, done, count in self.rows)
