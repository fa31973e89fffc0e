"""Blocks on their way between two pools: one queue a direction, submissions, and marks that tell when each is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from pagedkv.device.extents import ExtentMover, Mover, check_pools
from pagedkv.device.lane import CudaLane, HostLane, Lane
from pagedkv.errors import PagedKVError

TO_DEVICE, TO_HOST = "h2d", "d2h"
METHODS = ("batch", "single", "gather8", "gather32")


class Copy:
    """One submission. `start`, `end`: timed marks around it (`start` None if it is not to be timed); `launches`: calls
    that it took; `pieces`: its blocks.

    `end` may be given to a later submission as `after`, or be waited for by a stream.
    """

    __slots__ = ("_lane", "end", "launches", "pieces", "start")

    def __init__(self, lane: Lane, start: Any, end: Any, pieces: int, launches: int) -> None:
        self._lane = lane
        self.start = start
        self.end = end
        self.pieces = pieces
        self.launches = launches

    def done(self) -> bool:
        """Whether it is over. Does not wait."""
        return self.end.query()

    def wait(self) -> None:
        """Let the host wait until it is over."""
        self.end.synchronize()

    @property
    def seconds(self) -> float:
        """Time from `start` to `end`, both of which have passed."""
        return self.start.elapsed_time(self.end) * 1e-3

    def release(self) -> None:
        """Give the marks back: nobody will ask this copy anything any more."""
        if self.start is not None:
            self._lane.recycle(self.start)
        self._lane.recycle(self.end)
        del self.start, self.end


class CopyStream:
    """Moves blocks in one direction, in the order of submission; the host waits for nothing.

    `direction`: h2d or d2h. `gpu_pool` [slots, ...] and `host_pool` [slots, ...] have blocks of the same size, whatever
    their types; a pool of other pieces is a view of it. `method`: batch (what the engine uses), single (a call for each
    extent), gather8 or gather32 (a kernel on that many SMs). `lane`: for tests, in which things happen late.
    """

    def __init__(
        self,
        direction: str,
        gpu_pool: torch.Tensor,
        host_pool: torch.Tensor,
        method: str = "batch",
        lane: Lane | None = None,
    ) -> None:
        check_pools(gpu_pool, host_pool)
        on_gpu = gpu_pool.device.type == "cuda"
        if on_gpu and not host_pool.is_pinned():
            raise PagedKVError("blocks can only be copied behind the host's back from and to pinned memory")
        self.direction = direction
        self._slots = (len(gpu_pool), len(host_pool))
        self._pools = (gpu_pool, host_pool)
        self._move = _mover(direction, gpu_pool, host_pool, method)
        self._lane = lane or (CudaLane(gpu_pool.device) if on_gpu else HostLane())
        self.active = self._lane.active
        """A context within which torch's work goes into this queue."""

    def submit(self, gpu: np.ndarray, host: np.ndarray, after: Iterable[Any] = (), timed: bool = True) -> Copy:
        """Copy between slots `gpu[i]` and `host[i]` (integers [n], n > 0, none twice) once marks `after` have passed.

        `timed`: its `seconds` will be asked for, which takes a mark more. The arrays may be changed afterwards. Raises
        IndexError for a slot that the pool does not have, and PagedKVError when the driver refuses; nothing has moved
        then.
        """
        gpu, host = self._checked(gpu, self._slots[0]), self._checked(host, self._slots[1])
        lane, move = self._lane, self._move
        for mark in after:
            lane.after(mark)
        start = lane.mark() if timed else None
        launches = lane.give(lambda stream: move(gpu, host, stream))
        end = lane.mark()
        return Copy(lane, start, end, len(gpu), launches)

    @staticmethod
    def _checked(slots: np.ndarray, count: int) -> np.ndarray:
        slots = np.asarray(slots, np.int64)
        # As unsigned numbers, negative slots are too large as well.
        if slots.view(np.uint64).max() >= count:
            raise IndexError(f"slots {slots.min()} to {slots.max()} are not in a pool of {count} slots")
        return slots


def _mover(direction: str, gpu_pool: torch.Tensor, host_pool: torch.Tensor, method: str) -> Mover:
    if direction not in (TO_DEVICE, TO_HOST) or method not in METHODS:
        raise PagedKVError(f"no copy of direction '{direction}' by method '{method}': methods are {', '.join(METHODS)}")
    if method.startswith("gather"):
        from pagedkv.device.gather import GatherMover  # brings Triton, which the engine's own method can do without

        return GatherMover(direction == TO_DEVICE, gpu_pool, host_pool, int(method.removeprefix("gather")))
    return ExtentMover(direction == TO_DEVICE, gpu_pool, host_pool, batch=method == "batch")
