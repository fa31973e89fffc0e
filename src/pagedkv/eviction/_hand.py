"""What CLOCK and SIEVE have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.eviction._queue import Mask
from pagedkv.eviction._ring import Ring
from pagedkv.eviction.base import Contents, EvictionPolicy


class HandEviction(EvictionPolicy):
    """A hand walks over the blocks. One that was referenced since it last came by loses its reference bit and survives;
    the first one without goes. Blocks that are in use or not allowed are passed over, and keep their bits."""

    turning: bool
    """Whether survivors become the newest."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._ring = Ring(self.turning)
        self._referenced = np.zeros(0, np.int8)

    def admit(self, contents: Contents) -> None:
        self._set(contents, 0)
        self._ring.append(contents)

    def touch(self, contents: Contents) -> None:
        self._set(contents, 1)

    def evicted(self, contents: Contents) -> None:
        self._ring.discard(contents)

    def dropped(self, contents: Contents) -> None:
        self._ring.discard(contents)

    def victims(self, count: int, allowed: Mask) -> Contents:
        return self._ring.sweep(count, lambda ahead: self.members(ahead) & allowed(ahead), self._referenced)

    def _set(self, contents: Contents, bit: int) -> None:
        if len(contents):
            self._referenced = fitted(self._referenced, int(contents.max()), 0)
            self._referenced[contents] = bit
