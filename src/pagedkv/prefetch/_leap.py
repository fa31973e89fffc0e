"""What Leap is in its paper and in its code: a trend found by majority, in a history of remote accesses."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

from pagedkv.engine.view import FAULT
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.base import Fetch


class History:
    """Deltas of a stream of remote accesses, newest first, and the state of its window."""

    def __init__(self, deltas: deque[int], hits: int = 0) -> None:
        self.deltas = deltas
        self.last: int | None = None
        self.hits = hits
        """Uses of prefetched blocks since the last fault."""
        self.window = 0
        """Size of the window at the last fault."""
        self.trend: int | None = None
        """The last one that was found."""

    def access(self, index: int) -> None:
        if self.last is not None:
            self.deltas.appendleft(index - self.last)
        self.last = index


class Leap(OnAccess):
    """Learns from every remote access and answers faults. `per_stream`: one history for each stream, or one for all."""

    choices = {"per_stream": (True, False)}

    per_stream: bool

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._histories: dict[int, History] = {}

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        key = stream if self.per_stream else -1
        if key not in self._histories:
            self._histories[key] = self.new_history()
        history = self._histories[key]
        history.access(index)
        if kind == FAULT:
            return self.fault(history, stream, index)
        history.hits += 1
        return []

    @abstractmethod
    def new_history(self) -> History:
        """The history of a stream that has not been accessed yet."""

    @abstractmethod
    def fault(self, history: History, stream: int, fault: int) -> list[Fetch]:
        """Blocks to fetch after a fault, which is in the history already."""


def majority(values: list[int]) -> int | None:
    """The value that occurs in more than half of `values`, or None. Such a value is the median, where a count settles
    it; that takes two passes as the paper's vote does, but neither of them in Python."""
    if not values:
        return None
    median = sorted(values)[len(values) // 2]
    return median if values.count(median) > len(values) // 2 else None
