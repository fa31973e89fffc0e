"""LIRS: low inter-reference recency set."""

from collections import OrderedDict
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask, Queue, push_each
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register

NOWHERE, LIR, HIR, GHOST = range(4)


@register
class Lirs(EvictionPolicy):
    """Protect blocks whose last two references lay close together (LIR), evict from the queue of the others (HIR).

    Stack S holds blocks in order of their last reference, evicted HIR blocks (ghosts) included, down to the oldest LIR
    block. A reference to an HIR block or ghost that is still in S shows an inter-reference recency below that of the
    oldest LIR block: they change roles, and the latter joins the end of queue Q. A block that has left S stays HIR, and
    goes on top of S. New blocks are LIR until there are enough of them. The victim is the first block of Q.

    `hir_share` (0.01) is the share of the cache for HIR blocks, at least one block; `stack` (2) limits S to so many
    capacities: the ghosts that were evicted first are forgotten. Blocks in use are not in Q, and join its end when they
    are released; when Q has none that may go, the LIR block that is out of use longest goes. Prefetched ghosts come in
    as new blocks.

    Level: I0. Cost: O(1) a block that is read, gets a slot or is evicted. Source: Jiang and Zhang, SIGMETRICS 2002.
    """

    name = "lirs"
    level = Level.I0
    source = "Jiang and Zhang, LIRS, SIGMETRICS 2002"
    parameters = {"hir_share": 0.01, "stack": 2}
    shares = ("hir_share",)
    least = {"stack": 1}

    hir_share: float
    stack: int

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._state = np.zeros(0, np.int8)
        self._stack: OrderedDict[int, None] = OrderedDict()
        """S; the latest reference last."""
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._returning: set[int] = set()
        """Ghosts that the last entering request reads."""
        self._lir = 0
        """LIR blocks."""
        self._queues = {HIR: Queue(), LIR: Queue()}

    @property
    def lir_capacity(self) -> int:
        return self.capacity - max(1, int(self.hir_share * self.capacity))

    # ------------------------------------------------------------ what happens to blocks
    def touch(self, contents: Contents) -> None:
        self._fit(contents)
        self._returning.clear()
        for content, state in zip(contents.tolist(), self._state[contents].tolist(), strict=True):
            if state == NOWHERE:
                continue
            close = content in self._stack
            self._stack[content] = None
            self._stack.move_to_end(content)
            if state == GHOST:
                self._returning.add(content)
            elif state == HIR and close:
                self._promote(content)
            self._prune()
        self._limit()

    def admit(self, contents: Contents) -> None:
        self._fit(contents)
        for content in contents.tolist():
            self._ghosts.pop(content, None)
            self._stack[content] = None
            self._stack.move_to_end(content)
            if content in self._returning or self._lir < self.lir_capacity:
                self._promote(content)
            else:
                self._state[content] = HIR
            self._prune()
        self._returning.difference_update(contents.tolist())
        self._limit()

    def evicted(self, contents: Contents) -> None:
        for content in contents.tolist():
            if self._state[content] == HIR and content in self._stack:
                self._state[content] = GHOST
                self._ghosts[content] = None
            else:
                self._leave(content)

    def dropped(self, contents: Contents) -> None:
        for content in contents.tolist():
            self._leave(content)

    # ------------------------------------------------------------ the set
    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        push_each(self._queues.items(), contents, self._state[contents], self._serial[contents])

    def victims(self, count: int, allowed: Mask) -> Contents:
        first = self._queues[HIR].take(count, self._current, allowed)
        return np.concatenate([first, self._queues[LIR].take(count - len(first), self._current, allowed)])

    # ------------------------------------------------------------ LIR and HIR
    def _promote(self, content: int) -> None:
        """`content`, on top of S, becomes LIR, and the oldest LIR block makes room for it."""
        self._state[content] = LIR
        self._lir += 1
        if self._lir > self.lir_capacity:
            self._prune()
            oldest, _ = self._stack.popitem(last=False)
            self._lir -= 1
            self._state[oldest] = HIR
            if self._serial[oldest] >= 0:
                self.insert(np.array([oldest]))

    def _leave(self, content: int) -> None:
        self._lir -= int(self._state[content] == LIR)
        self._state[content] = NOWHERE
        self._stack.pop(content, None)
        self._prune()

    def _prune(self) -> None:
        """The bottom of S is a LIR block."""
        while self._stack:
            bottom = next(iter(self._stack))
            if self._state[bottom] == LIR:
                break
            del self._stack[bottom]
            if self._state[bottom] == GHOST:
                self._forget(bottom)

    def _limit(self) -> None:
        while len(self._stack) > self.stack * self.capacity and self._ghosts:
            oldest = next(iter(self._ghosts))
            del self._stack[oldest]
            self._forget(oldest)

    def _forget(self, ghost: int) -> None:
        del self._ghosts[ghost]
        self._state[ghost] = NOWHERE

    def _fit(self, contents: Contents) -> None:
        if len(contents):
            largest = int(contents.max())
            self._state = fitted(self._state, largest, NOWHERE)
            self._serial = fitted(self._serial, largest)
