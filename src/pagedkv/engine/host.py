"""The host tier: which contents have a copy in host memory, and who leaves when it is full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from pagedkv.engine.blocks import BlockStates
from pagedkv.eviction.base import EvictionPolicy


class HostAddresses(Protocol):
    """Told where copies come and go, see `host_address.py`."""

    def stored(self, contents: np.ndarray) -> None: ...

    def discarded(self, contents: np.ndarray) -> None: ...


class HostTier:
    """Host memory for `blocks` blocks (None: as many as are needed), with an eviction policy of its own.

    `states.on_host` is owned here. Room is taken when a store completes; contents that a load is reading, or
    will read for a running request, stay, so that for a moment there may be more than `blocks`.
    """

    def __init__(self, states: BlockStates, blocks: int | None, eviction: EvictionPolicy) -> None:
        self.states = states
        self.blocks = blocks
        self.eviction = eviction
        if blocks is not None:
            eviction.attach(blocks)
        self.count = 0
        self.on_discard: Callable[[np.ndarray], None] = lambda contents: None
        """Told which copies are gone, so that a device that really holds them can take their memory back."""
        self.addresses: HostAddresses | None = None

    def add(self, contents: np.ndarray) -> np.ndarray:
        """`contents` have arrived; returns the contents that had to leave (among them, in a tiny tier, new ones)."""
        fresh = contents[~self.states.on_host[contents]]
        self.states.on_host[fresh] = True
        self.count += len(fresh)
        if self.addresses is not None:
            self.addresses.stored(fresh)
        if self.blocks is None:
            return fresh[:0]
        self.eviction.admit(fresh)
        self.eviction.insert(fresh)
        return self._shrink()

    def touch(self, contents: np.ndarray) -> None:
        """`contents` were read by a load."""
        if self.blocks is not None:
            held = contents[self.states.on_host[contents]]
            self.eviction.remove(held)
            self.eviction.touch(held)
            self.eviction.insert(held)

    def discard(self, contents: np.ndarray) -> None:
        """The copies of `contents` are out of date or no longer wanted."""
        held = contents[self.states.on_host[contents]]
        self._release(held)
        if self.blocks is not None:
            self.eviction.dropped(held)

    def _unneeded(self, contents: np.ndarray) -> np.ndarray:
        """Copies that no load reads, and none is about to: a pinned block without any layer waits for its load."""
        states = self.states
        return ~states.loading[contents] & ~((states.references[contents] > 0) & (states.layers[contents] == 0))

    def _shrink(self) -> np.ndarray:
        surplus = self.count - self.blocks
        if surplus <= 0:
            return np.zeros(0, np.int64)
        victims = self.eviction.victims(surplus, self._unneeded)
        self._release(victims)
        self.eviction.evicted(victims)
        return victims

    def _release(self, held: np.ndarray) -> None:
        self.states.on_host[held] = False
        self.count -= len(held)
        self.on_discard(held)
        if self.addresses is not None:
            self.addresses.discarded(held)
        if self.blocks is not None:
            self.eviction.remove(held)

    def assert_consistency(self) -> None:
        held = np.flatnonzero(self.states.on_host[: self.states.count])
        assert len(held) == self.count, "host copies are counted wrongly"
        if self.blocks is not None:
            assert self.eviction.members(held).all(), "a host copy is unknown to the host eviction policy"
