"""Addresses of blocks in managed memory: a pool that is larger than the GPU, of which a part is resident."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from pagedkv.engine.script import Script

Mappings = dict[int, tuple[np.ndarray, np.ndarray]]
"""Step -> (contents, slots): what gets a slot at the boundary before the step."""

ROOM = 2
"""Size of the managed pool, in sizes of the GPU pool."""


def managed_mappings(script: Script, gpu_blocks: int, seed: int) -> Mappings:
    """Slots that the engine's allocator would give out if its pool were managed memory (UVM) of `ROOM` times
    `gpu_blocks`: what a driver sees. A block keeps its slot while it moves between GPU and host beneath it.

    The allocator is vLLM's: a new block takes the slot at the head of the free queue; when nobody holds a block any
    more, its slot goes to the tail, a request's last block first, and stays its own until it reaches the head. A block
    that lost its slot gets another when it is read again. The queue begins in an order drawn from `seed`: an allocator
    that has just started would hand out neighbours. It grows if more is held than it has.
    """
    pool = _ManagedPool(script.contents, ROOM * gpu_blocks, seed)
    mappings: Mappings = {}
    for step in script.event_steps.tolist():
        events = script.events[step]
        for leave in events.leaves:
            pool.release(leave.contents[::-1])
        mapped = [pool.hold(enter.contents) for enter in events.enters]
        mapped.append(pool.hold(events.created))
        for contents in events.joined:
            pool.hold(contents)
        contents = np.concatenate(mapped)
        if len(contents):
            mappings[step] = contents, pool.slot[contents]
    return mappings


class _ManagedPool:
    """vLLM's block pool without a limit on what may be held."""

    def __init__(self, contents: int, slots: int, seed: int) -> None:
        self.slot = np.full(contents, -1, np.int64)
        self._holders = np.zeros(contents, np.int32)
        order = np.random.Generator(np.random.PCG64(seed)).permutation(slots).tolist()
        self._free: OrderedDict[int, int] = OrderedDict((slot, -1) for slot in order)
        """Free slot -> content whose slot it still is, or -1; in order of reuse."""
        self._slots = slots

    def hold(self, contents: np.ndarray) -> np.ndarray:
        """One more holder; returns those that had no slot, and have one now."""
        idle = contents[self._holders[contents] == 0]
        self._holders[contents] += 1
        known = self.slot[idle]
        for slot in known[known >= 0].tolist():
            del self._free[slot]
        new = idle[known < 0]
        for content in new.tolist():
            self.slot[content] = self._take()
        return new

    def release(self, contents: np.ndarray) -> None:
        """One holder fewer; slots become free in the order given."""
        self._holders[contents] -= 1
        idle = contents[self._holders[contents] == 0]
        self._free.update(zip(self.slot[idle].tolist(), idle.tolist(), strict=True))

    def _take(self) -> int:
        if not self._free:
            self._slots += 1
            return self._slots - 1
        slot, content = self._free.popitem(last=False)
        if content >= 0:
            self.slot[content] = -1
        return slot
