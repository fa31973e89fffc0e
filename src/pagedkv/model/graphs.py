"""CUDA graphs of decode steps, one a batch size: a step is then one launch instead of some three hundred."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import torch


class DecodeGraphs:
    """Graphs of `decode(batch)` for the given batch sizes; a step runs as the smallest that holds it, padded."""

    def __init__(self, decode: Callable[[int], None], batches: Sequence[int]) -> None:
        self._decode = decode
        self._batches = sorted(batches)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def bucket(self, count: int) -> int | None:
        """The batch size as which `count` requests run; None if there is no graph for so many."""
        position = bisect_left(self._batches, count)
        captured = position < len(self._batches) and self._batches[position] in self._graphs
        return self._batches[position] if captured else None

    def capture(self) -> None:
        """Record the graphs, largest first, so that the smaller ones reuse its memory."""
        memory = None
        for count in reversed(self._batches):
            self._decode(count)  # compiles kernels and lets libraries allocate, which a capture must not
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=memory, stream=torch.cuda.current_stream()):
                self._decode(count)
            memory = memory or graph.pool()
            self._graphs[count] = graph

    def replay(self, count: int) -> None:
        self._graphs[count].replay()
