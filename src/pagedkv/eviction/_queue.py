"""Contents in the order in which they were pushed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

LEAST_LOOKED_AT = 64

Mask = Callable[[np.ndarray], np.ndarray]
"""Contents -> boolean array."""

Current = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(contents, serials) -> boolean array: which entries still count. The others are forgotten for good."""


def anything(contents: np.ndarray) -> np.ndarray:
    """The mask that allows all."""
    return np.ones(len(contents), bool)


def looked_at(count: int) -> int:
    """Entries to look at in one go to find `count` victims: most entries count and are allowed."""
    return max(LEAST_LOOKED_AT, 2 * count)


class Queue:
    """A FIFO queue kept in chunks: a whole request is one entry, and taking out one content costs nothing.

    Each content is pushed with a serial number; an entry whose serial is no longer the content's is void, and is
    dropped when it comes up.
    """

    def __init__(self) -> None:
        self._chunks: deque[tuple[np.ndarray, np.ndarray]] = deque()

    def push(self, contents: np.ndarray, serials: np.ndarray) -> None:
        """Join the end of the queue, in order."""
        if len(contents):
            self._chunks.append((contents, serials))

    def take(self, count: int, current: Current, allowed: Mask) -> np.ndarray:
        """The first `count` contents that are `current` and `allowed`, or as many as there are. They keep their place,
        and so do those that are not allowed."""
        chosen: list[np.ndarray] = []
        passed: list[tuple[np.ndarray, np.ndarray]] = []
        most = looked_at(count)
        while count > 0 and self._chunks:
            contents, serials = self._first(most)
            valid = current(contents, serials)
            contents, serials = contents[valid], serials[valid]
            if len(contents) == 0:
                continue
            admitted = contents[allowed(contents)][:count]
            chosen.append(admitted)
            count -= len(admitted)
            passed.append((contents, serials))
            most *= 2  # few are allowed: look further each time
        self._chunks.extendleft(reversed(passed))
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)

    def _first(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Remove and return the first entries, at most `most`; small chunks are looked at together."""
        chunks = [self._chunks.popleft()]
        entries = len(chunks[0][0])
        while self._chunks and entries + len(self._chunks[0][0]) <= most:
            chunks.append(self._chunks.popleft())
            entries += len(chunks[-1][0])
        contents, serials = chunks[0] if len(chunks) == 1 else map(np.concatenate, zip(*chunks, strict=True))
        if entries > most:
            self._chunks.appendleft((contents[most:], serials[most:]))
        return contents[:most], serials[:most]


def push_each(
    queues: Iterable[tuple[int, Queue]], contents: np.ndarray, places: np.ndarray, serials: np.ndarray
) -> None:
    """Each of `contents` joins the end of the queue at its place, in order; one whose place has no queue joins none."""
    for place, queue in queues:
        there = places == place
        queue.push(contents[there], serials[there])
