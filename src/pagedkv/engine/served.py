"""What the requests of a closed loop experienced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pagedkv.engine.batch import Batch
from pagedkv.engine.requests import Request


@dataclass
class Served:
    """Lists hold one entry a finished request, in order of finishing, unless they say otherwise. Times in seconds."""

    ttft_s: list[float] = field(default_factory=list)
    tpot_s: list[float] = field(default_factory=list)
    completion_s: list[float] = field(default_factory=list)
    output_tokens: int = 0
    hit_tokens: int = 0
    dropped: int = 0
    aborted: int = 0
    steps: int = 0
    batch_seconds: float = 0.0
    compute_s: float = 0.0
    elapsed_s: float = 0.0
    _gaps_s: list[tuple[Sequence[float], int]] = field(default_factory=list)
    """Times between consecutive tokens of a request, and how many requests saw each of them."""

    def book(self, batch: Batch, start_s: float, ends_s: Sequence[float]) -> None:
        """Steps that end at `ends_s` computed `batch`: advance its requests, and note when tokens came."""
        steps, first, last = len(ends_s), float(ends_s[0]), float(ends_s[-1])
        self._gaps_s.append(batch.advance(steps, first, last))
        if steps > 1:
            self._gaps_s.append((np.diff(ends_s), len(batch)))
        self.batch_seconds += len(batch) * (last - start_s)

    def finish(self, request: Request) -> None:
        """`request` has produced its last token."""
        end = request.last_token_s
        self.ttft_s.append(request.first_token_s - request.arrival_s)
        self.completion_s.append(end - request.arrival_s)
        if request.output_tokens > 1:
            self.tpot_s.append((end - request.first_token_s) / (request.output_tokens - 1))
        self.output_tokens += request.output_tokens
        self.hit_tokens += request.hit_tokens

    def token_gaps(self) -> tuple[np.ndarray, np.ndarray]:
        """(times between consecutive tokens of a request, how many tokens saw each)."""
        gaps = [np.zeros(0), *(gaps for gaps, _ in self._gaps_s)]
        counts = [np.zeros(0), *(np.full(len(gaps), count, float) for gaps, count in self._gaps_s)]
        return np.concatenate(gaps), np.concatenate(counts)
