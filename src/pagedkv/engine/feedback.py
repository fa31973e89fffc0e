"""What became of blocks since the policy was asked last, for policies that say `feedback = True`."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.address import AddressSpace
from pagedkv.engine.view import Arrived, Evicted


class Feedback:
    """Collects arrivals and evictions, and names them in the address space of the run.

    A block has no owner by itself. Under logical addressing it goes by the request that held it or asked for it last.
    Under every addressing it is left out if its address has come to name another block meanwhile, or nothing.
    """

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._arrived: list[tuple[np.ndarray, np.ndarray]] = []
        self._evicted: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def named(self, stream: int, first: int, contents: np.ndarray) -> None:
        """`contents` were held or asked for as the blocks of `stream` from `first` on."""
        self._space.name_blocks(stream, first, contents)

    def arrived(self, contents: np.ndarray, prefetched: bool) -> None:
        """The load of `contents` was seen complete."""
        self._arrived.append((contents, np.full(len(contents), prefetched)))

    def evicted(self, contents: np.ndarray, unused: np.ndarray, by_prefetch: bool) -> None:
        """`contents` left the GPU; those that are `unused` had been prefetched for nothing."""
        self._evicted.append((contents, unused, np.full(len(contents), by_prefetch)))

    def take(self) -> tuple[Arrived, Evicted]:
        """Everything since the last call."""
        arrived, evicted = Arrived.none(), Evicted.none()
        if self._arrived:
            arrived = Arrived(*self._located(self._arrived))
            self._arrived.clear()
        if self._evicted:
            evicted = Evicted(*self._located(self._evicted))
            self._evicted.clear()
        return arrived, evicted

    def _located(self, parts: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
        """(stream, index, flags...) of what has an address."""
        contents, *flags = (np.concatenate(column) for column in zip(*parts, strict=True))
        stream, index = self._space.locate(contents)
        known = index >= 0
        return [column[known] for column in (stream, index, *flags)]
