"""State of every content, as columns.

A *content* is one written instance of a block. Contents are numbered from 0 in order of creation, so that sets of
them are integer arrays, and state changes of a whole request are a handful of array operations.
"""

from __future__ import annotations

import numpy as np

NEVER = -1


class BlockStates:
    """Growable columns, one row a content.

    | column | meaning |
    |---|---|
    | layers | leading layers that the GPU holds or that are on their way (0: absent, all: resident or loading) |
    | ready_s | time at which those layers have arrived |
    | loading | a load is in flight, or its completion has not been seen yet |
    | storing | a store is in flight, or its completion has not been seen yet: no victim |
    | on_host | a complete and current copy lies in host memory |
    | references | running requests that hold the content; it is no victim while this is above 0 |
    | slot | GPU slot, -1 while absent |
    | prefetched_step | step in which it was prefetched, while it waits for its first use; -1 otherwise |
    | wasted | it was prefetched and evicted without a use since |
    """

    _COLUMNS = {
        "layers": (np.uint8, 0),
        "ready_s": (np.float64, 0.0),
        "loading": (np.bool_, False),
        "storing": (np.bool_, False),
        "on_host": (np.bool_, False),
        "references": (np.int32, 0),
        "slot": (np.int64, -1),
        "prefetched_step": (np.int64, NEVER),
        "wasted": (np.bool_, False),
    }

    layers: np.ndarray
    ready_s: np.ndarray
    loading: np.ndarray
    storing: np.ndarray
    on_host: np.ndarray
    references: np.ndarray
    slot: np.ndarray
    prefetched_step: np.ndarray
    wasted: np.ndarray

    def __init__(self, contents: int = 0) -> None:
        self.count = contents
        for name, (dtype, empty) in self._COLUMNS.items():
            setattr(self, name, np.full(max(1024, contents), empty, dtype))

    def new(self, count: int) -> np.ndarray:
        """Numbers of `count` new contents, all absent."""
        first, self.count = self.count, self.count + count
        if self.count > len(self.layers):
            for name, (dtype, empty) in self._COLUMNS.items():
                column = np.full(2 * self.count, empty, dtype)
                column[:first] = getattr(self, name)[:first]
                setattr(self, name, column)
        return np.arange(first, self.count)

    def existing(self, contents: np.ndarray) -> np.ndarray:
        """The leading ones of `contents` that lie on some tier: all before the first that exists nowhere any more."""
        gone = (self.slot[contents] < 0) & ~self.on_host[contents]
        return contents[: int(np.argmax(gone))] if gone.any() else contents
