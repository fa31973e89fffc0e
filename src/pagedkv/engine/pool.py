"""GPU slots: which content lies where, and who leaves when room is needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pagedkv.engine.advice import Advice
from pagedkv.engine.blocks import BlockStates
from pagedkv.errors import PagedKVError
from pagedkv.eviction.base import EvictionPolicy

EMPTY = -1


class Pool:
    """A fixed number of slots. Every slot is on the free stack or holds one content.

    Order of reuse is vLLM's: slots without a cached content first, last freed first; then cached contents in the
    order of the eviction policy, over which the prefetch policy may lay `advice`. As in vLLM, slot 0 is the null block
    and is never handed out.
    """

    def __init__(self, slots: int, states: BlockStates, eviction: EvictionPolicy) -> None:
        if slots < 2:
            raise PagedKVError(f"a pool of {slots} blocks is too small: one is reserved as the null block")
        self.usable = slots - 1
        self.states = states
        self.eviction = eviction
        eviction.attach(self.usable)
        self.advice = Advice()
        self.content = np.full(slots, EMPTY, np.int64)
        self._free = np.arange(slots - 1, -1, -1)
        self._free_count = slots - 1
        self.evictable_count = 0

    @property
    def free_count(self) -> int:
        """Slots that hold nothing."""
        return self._free_count

    @property
    def available(self) -> int:
        """Slots that a request may take at once: free ones and those of evictable contents."""
        return self._free_count + self.evictable_count

    @property
    def resident(self) -> np.ndarray:
        """Contents that hold a slot, in slot order."""
        return self.content[self.content != EMPTY]

    def place(self, contents: np.ndarray) -> np.ndarray:
        """Give each content a free slot, in order. The caller has made room."""
        count = len(contents)
        if count > self._free_count:
            raise PagedKVError(f"{count} blocks were placed into {self._free_count} free slots")
        slots = self._free[self._free_count - count : self._free_count][::-1].copy()
        self._free_count -= count
        self.content[slots] = contents
        self.states.slot[contents] = slots
        self.eviction.admit(contents[::-1])
        return slots

    def vacate(self, contents: np.ndarray) -> None:
        """Free the slots of `contents`. They are reused before other free slots, in the order given, so that victims
        taken together are reused as if they had been taken one by one."""
        count = len(contents)
        slots = self.states.slot[contents[::-1]]
        self.content[slots] = EMPTY
        self.states.slot[contents] = EMPTY
        self._free[self._free_count : self._free_count + count] = slots
        self._free_count += count

    def offer(self, contents: np.ndarray) -> None:
        """`contents` became evictable, listed from the first to go to the last."""
        self.eviction.insert(contents)
        self.evictable_count += len(contents)

    def withdraw(self, contents: np.ndarray) -> None:
        """`contents`, all of them offered, are no longer evictable."""
        self.eviction.remove(contents)
        self.evictable_count -= len(contents)

    def victims(self, count: int, allowed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """At most `count` evictable contents that `allowed` admits, the one to evict first first."""
        if self.advice:
            return self.advice.victims(self.eviction, count, allowed, self.resident)
        return self.eviction.victims(count, allowed)

    def assert_consistency(self) -> None:
        """Every slot is free or holds one content, and every evictable content is offered exactly once."""
        free = self._free[: self._free_count]
        held = np.flatnonzero(self.content != EMPTY)
        assert len(np.unique(free)) == self._free_count, "a slot is on the free stack twice"
        assert 0 not in free and self.content[0] == EMPTY, "the null block was handed out"
        assert not np.isin(free, held).any(), "a free slot holds a content"
        assert self._free_count + len(held) == self.usable, "a slot was lost"
        contents = self.content[held]
        assert len(np.unique(contents)) == len(contents), "a content lies in two slots"
        assert (self.states.slot[contents] == held).all(), "slot and content disagree"
        placed = np.flatnonzero(self.states.slot[: self.states.count] != EMPTY)
        assert len(placed) == len(held), "a content names a slot that it does not hold"
        members = contents[self.eviction.members(contents)]
        assert len(members) == self.evictable_count, "evictable contents are counted wrongly"
        assert (self.states.references[members] == 0).all(), "a referenced content is evictable"
