"""Two LRU lists, for sequential and for other data, whose sizes adapt."""

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask, Queue, anything, push_each
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register

NEW, RANDOM, SEQUENTIAL, WAS_RANDOM, WAS_SEQUENTIAL = range(5)
"""What is known of a content: it never had a slot or was just demanded; the list it is in; the list it left."""
LEAVES = WAS_RANDOM - RANDOM


@register
class Sarc(EvictionPolicy):
    """Two LRU lists, sequential and random; room goes to the one whose last blocks save more misses.

    A block that gets its slot for a prefetch is sequential, and from then on whenever it is loaded. All others are
    random; so is a block that a prefetch brings in the very step that reads it, which has taken the slot. A hit among
    the oldest blocks of the random list, `bottom` (0.05) of the capacity, tells what the last blocks of that list are
    worth. The worth of the last sequential blocks is 2 * m * bottom / L: m is the number of sequential blocks missed
    since the last such hit, L the length of the sequential list. If it exceeds the number of hits, the list may have
    as many blocks more, else as many less; it starts with half of the capacity. A sequential list that is longer than
    that gives the victim, else the random one; while one of them is shorter than `bottom`, the older of the two.

    Left out: the paper finds sequential blocks by their addresses, also without a prefetch, which an eviction policy
    does not see; and it moves the unread rest of a group to the recent end when the next group is fetched.

    Level: I0. Cost: O(bottom) an entry and eviction. Source: Gill and Modha, USENIX ATC 2005, sections III and IV.
    """

    name = "sarc"
    level = Level.I0
    source = "Gill and Modha, USENIX ATC 2005"
    parameters = {"bottom": 0.05}
    shares = ("bottom",)

    bottom: float

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.desired = 0
        """Blocks that the sequential list may have."""
        self._low_blocks = 1
        self._queues = {RANDOM: Queue(), SEQUENTIAL: Queue()}
        self._sizes = np.zeros(5, np.int64)
        self._missed = 0
        self._kind = np.full(0, NEW, np.int8)
        self._low = np.zeros(0, bool)
        """Taken from the bottom of the random list for a request that has not been heard of yet."""

    def attach(self, capacity: int) -> None:
        super().attach(capacity)
        self._low_blocks = max(1, int(self.bottom * capacity))
        self.desired = capacity // 2

    # ------------------------------------------------------------ what is learnt
    def touch(self, contents: Contents) -> None:
        if len(contents) == 0:
            return
        self._fit(contents)
        kind = self._kind[contents]
        self._missed += int((kind == WAS_SEQUENTIAL).sum())
        self._kind[contents[kind == WAS_RANDOM]] = NEW
        hits = int(self._low[contents].sum())
        self._low[contents] = False
        if hits:
            worth = 2 * self._missed * self._low_blocks / max(1, int(self._sizes[SEQUENTIAL]))
            self.desired = min(max(0, self.desired + (hits if worth > hits else -hits)), self.capacity)
            self._missed = 0

    def admit(self, contents: Contents) -> None:
        if len(contents):
            self._fit(contents)
            # Nobody asked for a block that comes back without having been touched: it is prefetched.
            self._move(contents, np.where(self._kind[contents] == NEW, RANDOM, SEQUENTIAL))

    def evicted(self, contents: Contents) -> None:
        self._low[contents] = False
        self._move(contents, self._kind[contents] + LEAVES)

    def dropped(self, contents: Contents) -> None:
        self.evicted(contents)

    # ------------------------------------------------------------ the set
    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        push_each(self._queues.items(), contents, self._kind[contents], self._serial[contents])

    def remove(self, contents: Contents) -> None:
        if len(contents):
            self._fit(contents)
            self._low[contents] |= np.isin(contents, self._take(RANDOM, self._low_blocks, anything))
        super().remove(contents)

    def victims(self, count: int, allowed: Mask) -> Contents:
        if min(self._sizes[RANDOM], self._sizes[SEQUENTIAL]) < self._low_blocks:
            both = np.concatenate([self._take(kind, count, allowed) for kind in self._queues])
            return both[np.argsort(self._serial[both])][:count]
        surplus = int(self._sizes[SEQUENTIAL]) - self.desired
        sequential = self._take(SEQUENTIAL, count, allowed)
        first = sequential[: max(0, surplus)]
        random = self._take(RANDOM, count - len(first), allowed)
        return np.concatenate([first, random, sequential[len(first) :]])[:count]

    def _take(self, kind: int, count: int, allowed: Mask) -> Contents:
        return self._queues[kind].take(count, self._current, allowed)

    def _move(self, contents: Contents, kinds: np.ndarray) -> None:
        np.add.at(self._sizes, self._kind[contents], -1)
        np.add.at(self._sizes, kinds, 1)
        self._kind[contents] = kinds

    def _fit(self, contents: Contents) -> None:
        last = int(contents.max())
        self._kind, self._low = fitted(self._kind, last, NEW), fitted(self._low, last, False)
