"""A trace's schedule as a device computes it: the batch of each step, whatever the policy under test does.

Replays under different policies then run the same batches on the same tokens, so that tokens and logits have to be
equal bit by bit (design section 10, token identity (a)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.engine.scripting import BlockTable, block_tables
from pagedkv.trace.schema import Trace


@dataclass(eq=False)
class PinnedRequest:
    """A request of the schedule; see `device.base.Scheduled`."""

    number: int
    prompt_tokens: int
    table: BlockTable
    known_tokens: int
    """Prompt and tokens produced so far."""
    rank: int = -1
    computed: int = 0

    @property
    def contents(self) -> np.ndarray:
        return self.table.contents[: self.table.blocks]

    @property
    def remaining(self) -> int:
        return self.known_tokens - self.computed


class PinnedSchedule:
    """The batches of a trace, step by step from the first one on."""

    def __init__(self, trace: Trace) -> None:
        tables = block_tables(trace)
        prompts = dict(zip(trace.requests["request"].tolist(), trace.requests["prompt_tokens"].tolist(), strict=True))
        self._requests = {n: PinnedRequest(n, prompts[n], table, prompts[n]) for n, table in tables.items()}
        names = ("step", "steps", "request", "rank", "computed_tokens", "scheduled_tokens")
        rows = zip(*(trace.reads[name].tolist() for name in names), strict=True)
        self._runs: dict[int, list[tuple[int, int, int, int, int, int]]] = {}
        self._last: dict[int, int] = {}
        for row in rows:
            self._runs.setdefault(row[0], []).append(row)
            self._last[row[2]] = max(self._last.get(row[2], 0), row[0] + row[1] - 1)
        self._active: list[tuple[int, int, int, int, int, int]] = []

    def at(self, step: int) -> tuple[list[PinnedRequest], list[int]]:
        """(requests in batch order, tokens of each) of `step`. Steps are asked for in order, each once."""
        going = [run for run in self._active if run[0] + run[1] > step]
        self._active = sorted(going + self._runs.get(step, []), key=lambda run: run[3])
        batch, tokens = [], []
        for first, _, number, rank, computed, each in self._active:
            request = self._requests[number]
            request.rank, request.computed = rank, computed + (step - first) * each
            request.table.advance(step)
            batch.append(request)
            tokens.append(each)
        return batch, tokens

    def book(self, batch: list[PinnedRequest], tokens: list[int]) -> None:
        """The step has been launched: who reached the end of its known tokens has produced one more."""
        for request, count in zip(batch, tokens, strict=True):
            request.known_tokens += count == request.remaining

    def finished_after(self, step: int) -> list[int]:
        """Requests that are not scheduled after `step`."""
        return [run[2] for run in self._active if self._last[run[2]] == step]
