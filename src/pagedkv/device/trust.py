"""Test mode of a real device: every block that comes back is compared with what left, and free slots are poisoned."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from pagedkv.device.checksum import block_checksums
from pagedkv.device.timeline import Timeline

Queue = Callable[[], AbstractContextManager]


class Trust:
    """Keeps a 64-bit checksum of each block in host memory, and verifies it at every arrival on the GPU.

    Works in the queues that move the blocks (`loads`, `stores`), so that it sees what they see, when they see it.
    Poison is NaN in every element: what reads a free slot shows it in its logits.
    """

    def __init__(self, pool: torch.Tensor, host_slots: int, loads: Queue, stores: Queue, timeline: Timeline) -> None:
        self._pool = pool
        self._sums = torch.zeros(host_slots, dtype=torch.int64, device=pool.device)
        self._wrong = torch.zeros((), dtype=torch.int64, device=pool.device)
        self._loads, self._stores = loads, stores
        self._timeline = timeline
        self._last: Any = None
        self.verified = 0
        """Blocks whose checksum was compared."""

    def leaving(self, gpu: np.ndarray, host: np.ndarray, after: Any) -> None:
        """Blocks in slots `gpu` are about to be stored, once mark `after` has passed.

        Before the copy: when that is over, the slots may be written again.
        """
        with self._stores():
            self._timeline.fence(after)
            self._note(gpu, host)

    def arrived(self, gpu: np.ndarray, host: np.ndarray) -> None:
        """The load of blocks into slots `gpu` has been enqueued."""
        with self._loads():
            self._compare(gpu, host)
            self._last = self._timeline.mark()
        self.verified += len(gpu)

    def poison(self, slots: np.ndarray) -> None:
        """`slots` hold nothing of value from now on. Loads into them come later in the same queue."""
        if len(slots):
            with self._loads():
                self._fill(slots)
                self._last = self._timeline.mark()

    def fence(self) -> bool:
        """Let compute wait for all that was begun here: it may write those slots. True if there is anything."""
        last, self._last = self._last, None
        if last is not None:
            self._timeline.fence(last)
        return last is not None

    @property
    def wrong(self) -> int:
        """Blocks that came back other than they left. Waits for the device."""
        return int(self._wrong)

    # ------------------------------------------------------------ what is enqueued
    def _note(self, gpu: np.ndarray, host: np.ndarray) -> None:
        self._sums[self._index(host)] = block_checksums(self._pool, self._index(gpu))

    def _compare(self, gpu: np.ndarray, host: np.ndarray) -> None:
        sums = block_checksums(self._pool, self._index(gpu))
        self._wrong += (self._sums[self._index(host)] != sums).sum()

    def _fill(self, slots: np.ndarray) -> None:
        self._pool[self._index(slots)] = float("nan")

    def _index(self, places: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(places)).to(self._pool.device)
