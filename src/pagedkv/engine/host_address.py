"""Addresses in host memory: slots that an allocator gives to blocks when they are stored, as a swap file gives them.

Which neighbours an address has is the allocator's doing, and decides what readahead on host slots can find.
"""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np

from pagedkv.engine.address import Slots
from pagedkv.engine.script import Script
from pagedkv.errors import PagedKVError

HOST, HOST_CONTIGUOUS, HOST_SCATTERED = "host", "host-contiguous", "host-scattered"
HOST_SPACES = (HOST, HOST_CONTIGUOUS, HOST_SCATTERED)

EXTENT = 512
"""Blocks of an extent, the size of Linux's swap clusters on x86."""


class Allocator(Protocol):
    """Gives slots to stored blocks."""

    def take(self, contents: np.ndarray) -> np.ndarray:
        """A slot for each of `contents`, which are stored together, in this order."""

    def give_back(self, slots: np.ndarray) -> None:
        """The copies in `slots` are gone."""


class FirstFree:
    """The lowest free slot. Blocks that fill while requests decode side by side lie between each other's; those of a
    prompt lie together."""

    def __init__(self) -> None:
        self._holes: list[int] = []
        self._end = 0

    def take(self, contents: np.ndarray) -> np.ndarray:
        holes = min(len(self._holes), len(contents))
        slots = [heapq.heappop(self._holes) for _ in range(holes)]
        begin, self._end = self._end, self._end + len(contents) - holes
        return np.concatenate([np.array(slots, np.int64), np.arange(begin, self._end)])

    def give_back(self, slots: np.ndarray) -> None:
        for slot in slots.tolist():
            heapq.heappush(self._holes, slot)


class Contiguous:
    """Blocks of a request are neighbours, in block order: it gets extents of `EXTENT` slots as it grows. A block that
    several requests share lies with the one that created it."""

    def __init__(self, creator: np.ndarray, block: np.ndarray) -> None:
        self._place = (creator << 32) + block // EXTENT
        self._offset = block % EXTENT
        self._extents: dict[int, int] = {}

    def take(self, contents: np.ndarray) -> np.ndarray:
        places, which = np.unique(self._place[contents], return_inverse=True)
        extents = [self._extents.setdefault(place, len(self._extents)) for place in places.tolist()]
        return np.array(extents, np.int64)[which] * EXTENT + self._offset[contents]

    def give_back(self, slots: np.ndarray) -> None:
        """An extent stays its request's."""


class Scattered:
    """Any slot, drawn once for each block: a swap area in which long use has left no order."""

    def __init__(self, contents: int, seed: int) -> None:
        self._slot = np.random.Generator(np.random.PCG64(seed)).permutation(contents)

    def take(self, contents: np.ndarray) -> np.ndarray:
        return self._slot[contents]

    def give_back(self, slots: np.ndarray) -> None:
        """It stays the block's."""


class HostSlots(Slots):
    """One stream; index = slot of the block's copy in the host tier, whatever the request.

    A block without a copy has no address. One that is about to be loaded back and appended to keeps the address of its
    old copy until it is stored again.
    """

    def __init__(self, name: str, allocator: Allocator) -> None:
        super().__init__()
        self.name = name
        self._allocator = allocator

    def stored(self, contents: np.ndarray) -> None:
        """The host tier holds copies of `contents` from now on."""
        if len(contents):
            self.assign(contents, self._allocator.take(contents))

    def discarded(self, contents: np.ndarray) -> None:
        """The copies of `contents` are gone."""
        if len(contents):
            self._allocator.give_back(self.release(contents))


def host_slots(name: str, script: Script, seed: int) -> HostSlots:
    """The host address space called `name` for a replay of `script`; `seed` orders the scattered one."""
    if name == HOST:
        return HostSlots(name, FirstFree())
    if name == HOST_CONTIGUOUS:
        return HostSlots(name, Contiguous(*script.creators))
    if name == HOST_SCATTERED:
        return HostSlots(name, Scattered(script.contents, seed))
    raise PagedKVError(f"host address space '{name}' is unknown; known are {', '.join(HOST_SPACES)}")
