"""Where each block is, and the transitions between GPU and host.

A content is *absent* (no slot), *loading* (slot taken, not yet seen complete), *resident*, or *leaving* (being
stored; it keeps its slot until the copy is done). Full blocks are written through once and are then free to evict;
the partial last block of a request is stored when the request leaves the batch. References pin, and so do transfers
(`transfers.py`) until they are seen complete.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pagedkv.columns import fitted
from pagedkv.device.base import Device
from pagedkv.engine.blocks import NEVER, BlockStates
from pagedkv.engine.host import HostTier
from pagedkv.engine.pool import Pool
from pagedkv.engine.transfers import Transfers
from pagedkv.errors import PagedKVError


class Tiers(Transfers):
    """GPU pool and host tier, and the state of every block in them. Without a host tier, evicted contents are lost."""

    def __init__(self, states: BlockStates, pool: Pool, device: Device, host: HostTier | None) -> None:
        super().__init__(states, pool, device, host)
        self.evicted_unused = 0
        self.unused_block_s = 0.0
        self._protection = np.full(0, -1, np.int64)
        self._round = 0

    # ------------------------------------------------------------ references
    def pin(self, contents: np.ndarray) -> None:
        """One more running request holds `contents`."""
        references = self.states.references
        self.pool.withdraw(contents[self.pool.eviction.members(contents)])
        references[contents] += 1

    def unpin(self, contents: np.ndarray) -> None:
        """A running request lets go of `contents`, listed in the order in which they should be evicted."""
        states = self.states
        states.references[contents] -= 1
        idle = contents[states.references[contents] == 0]
        self.pool.offer(idle[(states.slot[idle] >= 0) & ~states.loading[idle]])

    # ------------------------------------------------------------ room
    def protect(self, contents: np.ndarray) -> None:
        """Spare `contents` from eviction by prefetches until `end_protection`."""
        self._protection = fitted(self._protection, self.states.count)
        self._protection[contents] = self._round

    def end_protection(self) -> None:
        self._round += 1

    def room_for_prefetch(self, count: int) -> int:
        """Free up to `count` slots without touching what is protected; returns how many are free (at most `count`)."""
        if count > self.pool.free_count and self.pool.evictable_count:
            self._evict(count - self.pool.free_count, self._unprotected, by_prefetch=True)
        return min(count, self.pool.free_count)

    @property
    def room_at_once(self) -> int:
        """Slots that several owners can take together as if they came one by one: none, if the eviction policy minds.
        Which victims may go depends on the stores in flight, some of which a later one may find complete."""
        pool = self.pool
        if not pool.eviction.leaps:
            return 0
        return pool.free_count if self.stores else pool.available

    def room_for_step(self, count: int) -> None:
        """Free `count` slots for what the step to come needs, waiting for transfers where there is no other way."""
        while self.pool.free_count < count:
            if self._evict(count - self.pool.free_count, self._not_storing) == 0 and not self.wait_for_a_transfer():
                raise PagedKVError(
                    f"a step needs {count} more blocks, but only {self.pool.available} of {self.pool.usable} are free"
                )

    def take_slots(self, contents: np.ndarray) -> None:
        """Slots for what the step to come needs: free ones first, then those of victims, as vLLM's queue gives them."""
        free = min(len(contents), self.pool.free_count)
        self.pool.place(contents[:free])
        if free < len(contents):
            self.room_for_step(len(contents) - free)
            self.pool.place(contents[free:])

    def _not_storing(self, contents: np.ndarray) -> np.ndarray:
        return ~self.states.storing[contents]

    def _unprotected(self, contents: np.ndarray) -> np.ndarray:
        self._protection = fitted(self._protection, self.states.count)
        return ~self.states.storing[contents] & (self._protection[contents] != self._round)

    def _evict(self, count: int, allowed: Callable[[np.ndarray], np.ndarray], by_prefetch: bool = False) -> int:
        victims = self.pool.victims(count, allowed)
        if len(victims):
            states = self.states
            self.pool.withdraw(victims)
            self.pool.eviction.evicted(victims)
            self._vacate(victims)
            states.layers[victims] = 0
            waited = states.prefetched_step[victims] != NEVER
            if self.feedback is not None:
                self.feedback.evicted(victims, waited, by_prefetch)
            unused = victims[waited]
            if len(unused):
                self.evicted_unused += len(unused)
                self.unused_block_s += float(np.maximum(0.0, self.device.now_s - states.ready_s[unused]).sum())
                states.prefetched_step[unused] = NEVER
                states.wasted[unused] = True
            self.on_lost(victims[~states.on_host[victims]])
        return len(victims)

    def _vacate(self, contents: np.ndarray) -> None:
        self.device.vacated(self.states.slot[contents])
        self.pool.vacate(contents)

    # ------------------------------------------------------------ transitions
    def create(self, contents: np.ndarray) -> None:
        """First write of `contents` by a running request: resident at once, referenced, without a host copy."""
        if len(contents) == 0:
            return
        self.take_slots(contents)
        self.states.layers[contents] = self.all_layers
        self.states.ready_s[contents] = 0.0
        self.states.references[contents] = 1

    def overwrite(self, contents: np.ndarray) -> None:
        """A running request is about to append to partial `contents`: host copies of them are stale."""
        self.settle_stores_of(contents)
        if self.host is not None:
            self.host.discard(contents)

    def drop(self, contents: np.ndarray) -> None:
        """Nobody will read `contents` again: their slots are free at once, or as soon as no transfer uses them."""
        states = self.states
        gone = contents[(states.references[contents] == 0) & ~states.storing[contents] & ~states.loading[contents]]
        idle = gone[states.slot[gone] >= 0]
        self.pool.withdraw(idle[self.pool.eviction.members(idle)])
        self.pool.eviction.dropped(idle)
        self._vacate(idle)
        states.layers[idle] = 0
        if self.host is not None:
            self.host.discard(gone)
        self.on_lost(gone)

    # ------------------------------------------------------------ checks
    def assert_consistency(self) -> None:
        """Invariants of the state machine; O(contents), called after every step in tests."""
        super().assert_consistency()
        self.pool.assert_consistency()
        if self.host is not None:
            self.host.assert_consistency()
        states, count = self.states, self.states.count
        layers, slot = states.layers[:count], states.slot[:count]
        assert ((layers > 0) == (slot >= 0)).all(), "a block holds a slot without layers, or layers without a slot"
        idle = (states.references[:count] == 0) & (slot >= 0) & ~states.loading[:count]
        assert int(idle.sum()) == self.pool.evictable_count, "an unreferenced resident block is not evictable"
        assert (states.references[:count] >= 0).all(), "a block was released more often than it was held"
