"""Two lists and the ghosts of what left them: what the two ARCs have in common."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.eviction._queue import Mask, Queue, push_each
from pagedkv.eviction.base import Contents, EvictionPolicy

NOWHERE, T1, T2, B1, B2 = range(5)


class GhostEviction(EvictionPolicy):
    """T1 holds blocks with no reference since they got their slot, T2 those with more; B1 and B2 remember which blocks
    were evicted from T1 and T2. A reference to a ghost moves `target`, the wanted size of T1.

    A block is as recent as the end of its last use. One in use counts in its list but is skipped.
    """

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.target = 0.0
        self._where = np.zeros(0, np.int8)
        self._sizes = {T1: 0, T2: 0}
        self._queues = {T1: Queue(), T2: Queue()}
        self._ghosts: dict[int, OrderedDict[int, None]] = {B1: OrderedDict(), B2: OrderedDict()}
        """The latest last."""

    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        push_each(self._queues.items(), contents, self._where[contents], self._serial[contents])

    def evicted(self, contents: Contents) -> None:
        for held, ghosts in ((T1, B1), (T2, B2)):
            among = contents[self._where[contents] == held]
            self._put(among, ghosts)
            self._ghosts[ghosts].update(dict.fromkeys(among.tolist()))

    def dropped(self, contents: Contents) -> None:
        self._put(contents, NOWHERE)

    # ------------------------------------------------------------ for subclasses
    def _located(self, contents: Contents) -> np.ndarray:
        """Where each of `contents` is: T1, T2, B1, B2 or NOWHERE."""
        if len(contents):
            self._where = fitted(self._where, int(contents.max()), NOWHERE)
        return self._where[contents]

    def _put(self, contents: Contents, name: int) -> None:
        """Take `contents` out of wherever they are and count them in the list called `name`."""
        where = self._located(contents)
        for held in (T1, T2):
            self._sizes[held] -= int((where == held).sum())
        for ghosts in (B1, B2):
            for content in contents[where == ghosts].tolist():
                del self._ghosts[ghosts][content]
        self._where[contents] = name
        if name in self._sizes:
            self._sizes[name] += len(contents)

    def _adapt(self, ghosts: int) -> None:
        """A block of `ghosts` was referenced: its list should have been longer."""
        size, other = len(self._ghosts[ghosts]), len(self._ghosts[B1 + B2 - ghosts])
        change = max(1.0, other / size)
        if ghosts == B1:
            self.target = min(self.target + change, float(self.capacity))
        else:
            self.target = max(self.target - change, 0.0)

    def _forget_oldest(self, ghosts: int) -> None:
        self._where[self._ghosts[ghosts].popitem(last=False)[0]] = NOWHERE

    def _oldest(self, name: int, count: int, allowed: Mask) -> Contents:
        return self._queues[name].take(count, self._current, allowed)
