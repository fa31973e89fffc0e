"""A trace's schedule as a device computes it: the batch of each step, whatever the policy under test does.

Replays under different policies then run the same batches on the same tokens, so that tokens and logits have to be
equal bit by bit (design section 10, token identity (a)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.device.base import PlainStep
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

    @property
    def contents(self) -> np.ndarray:
        return self.table.contents[: self.table.blocks]


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

    def at(self, step: int) -> PlainStep:
        """What `step` computes. Steps are asked for in order, each once."""
        going = [run for run in self._active if run[0] + run[1] > step]
        self._active = sorted(going + self._runs.get(step, []), key=lambda run: run[3])
        requests = [self._requests[run[2]] for run in self._active]
        for request in requests:
            request.table.advance(step)
        first, _, _, ranks, begun, tokens = np.array(self._active, np.int64).reshape(-1, 6).T
        computed = begun + (step - first) * tokens
        known = np.array([request.known_tokens for request in requests], np.int64)
        return PlainStep(requests, ranks, computed, tokens, computed + tokens == known)

    def book(self, step: PlainStep) -> None:
        """The step has been launched: who reached the end of its known tokens has produced one more."""
        for request, produces in zip(step.requests, step.produces.tolist(), strict=True):
            request.known_tokens += produces

    def finished_after(self, step: int) -> list[int]:
        """Requests that are not scheduled after `step`."""
        return [run[2] for run in self._active if self._last[run[2]] == step]
