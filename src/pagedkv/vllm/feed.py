"""Gives vLLM the requests of a table at their times, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from pagedkv.engine.arrivals import Arrivals
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Event
from pagedkv.vllm.seen import Seen
from pagedkv.workload.table import RequestTable
from pagedkv.workload.tokens import all_tokens


class Feed:
    """Requests of `table` as they become due. Each goes to vLLM under its row as its name.

    A request that exceeds `max_model_len` or the pool is dropped with the rest of its session, as our engine does.
    """

    def __init__(self, table: RequestTable, engine: EngineSettings, vocabulary: int, recorder: Recorder) -> None:
        self.arrivals = Arrivals(table, own_keys=False)
        self.dropped = 0
        self.tokens_of: Callable[[int], np.ndarray] = cache(lambda row: all_tokens(table, row, vocabulary))
        """Row of a request -> all of its tokens, outputs included."""
        self._engine, self._recorder = engine, recorder
        self._coming: dict[int, Seen] = {}

    def due(self, now_s: float, step: Callable[[], int]) -> Iterator[tuple[Seen, list[int]]]:
        """Requests that have arrived by `now_s`, each with its prompt. `step()`: number of the step to come."""
        while self.arrivals.next_s <= now_s:
            ours = self.arrivals.pop()
            tokens = ours.prompt_tokens + ours.output_tokens
            if tokens > self._engine.max_model_len or -(-tokens // BLOCK_TOKENS) > self._engine.pool_blocks - 1:
                self.dropped += self.arrivals.drop_session(ours.number)
                self._recorder.event(step(), ours.arrival_s, Event.DROP, ours.number, tokens)
                continue
            lengths = (ours.prompt_tokens, ours.output_tokens)
            seen = Seen(ours.number, ours.session, ours.turn, ours.arrival_s, *lengths)
            self._coming[ours.number] = seen
            yield seen, self.tokens_of(ours.number)[: ours.prompt_tokens].tolist()

    def identify(self, request: Any) -> Seen:
        """Who a vLLM request is that arrives at the scheduler."""
        return self._coming.pop(row_of(request.request_id))

    def next_token(self, request: Any) -> int:
        """What the model says next to a vLLM request, as the workload has it."""
        tokens = self.tokens_of(row_of(request.request_id))
        return int(tokens[min(request.num_prompt_tokens + request.num_output_tokens, len(tokens) - 1)])


def row_of(name: str) -> int:
    """The row that a request's name begins with: an `LLM` adds a random part to the names that it is given."""
    return int(name.partition("-")[0])
