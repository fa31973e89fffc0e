"""Which place in pinned host memory holds the copy of which content."""

from __future__ import annotations

import numpy as np

from pagedkv.columns import fitted
from pagedkv.errors import PagedKVError

NOWHERE = -1


class HostSlots:
    """Hands out the `slots` places of the host pool.

    A copy that is discarded may still be read by a load that is submitted at the same boundary (a request that comes
    back will overwrite its last block, but has to load it first). Its place is therefore *retired*, and free only when
    `free_retired` says that the step is over.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.free_count = slots
        self._free = np.arange(slots - 1, -1, -1)
        self._slot = np.full(0, NOWHERE, np.int64)
        self._retiring = np.zeros(slots, np.bool_)
        self._retired: list[tuple[np.ndarray, np.ndarray]] = []

    def of(self, contents: np.ndarray) -> np.ndarray:
        """Places of `contents`, all of which have a copy."""
        return self._slot[contents]

    def take(self, contents: np.ndarray) -> np.ndarray:
        """A place for each of `contents`, which are about to be stored; what an older copy held is retired."""
        if len(contents) > self.free_count:
            raise PagedKVError(
                f"the pinned pool of {self.slots} blocks is full; the scenario's host_blocks must leave room in it for "
                "blocks that are being stored"
            )
        self._slot = fitted(self._slot, int(contents.max()), NOWHERE)
        self._retire(contents)
        self.free_count -= len(contents)
        taken = self._free[self.free_count : self.free_count + len(contents)].copy()
        self._slot[contents] = taken
        return taken

    def retire(self, contents: np.ndarray) -> None:
        """The copies of `contents` are no longer wanted."""
        self._retire(contents[contents < len(self._slot)])

    def _retire(self, contents: np.ndarray) -> None:
        places = self._slot[contents]
        held = places != NOWHERE
        if not held.any():
            return
        held[held] = ~self._retiring[places[held]]
        if held.any():
            self._retiring[places[held]] = True
            self._retired.append((contents[held], places[held]))

    def free_retired(self) -> None:
        """No load reads a retired place any more."""
        for contents, places in self._retired:
            self._slot[contents[self._slot[contents] == places]] = NOWHERE
            self._retiring[places] = False
            self._free[self.free_count : self.free_count + len(places)] = places
            self.free_count += len(places)
        self._retired.clear()

    def assert_consistency(self) -> None:
        """Every place is free, or holds or held one content."""
        free = self._free[: self.free_count]
        held = self._slot[self._slot != NOWHERE]
        assert len(np.unique(free)) == len(free), "a place is free twice"
        assert len(np.unique(held)) == len(held), "a place holds two contents"
        assert not np.isin(held, free).any(), "a place is free and holds a content"
