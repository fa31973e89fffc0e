"""Which bytes go where: blocks that are adjacent in both pools become one extent."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import torch

from pagedkv.device import driver
from pagedkv.errors import PagedKVError

_START_CAPACITY = 1024
_FEW = 4
"""So few blocks are copied one by one: to find out which are adjacent would take the host longer."""


class ExtentMover:
    """Copies blocks between pools of equal rows, [slots, ...] on the device and [slots, ...] in host memory.

    Called with the slots of blocks in both pools (int64 [n]) and a stream handle, it enqueues the copies and returns
    how many calls that took. `batch`: all extents in one call, where the driver can (`driver.batch_copier`); otherwise
    one call an extent. On a CPU it moves the bytes at once.
    """

    def __init__(self, to_device: bool, gpu_pool: torch.Tensor, host_pool: torch.Tensor, batch: bool = True) -> None:
        self._to_device = to_device
        self._bytes = gpu_pool[0].nbytes
        self._bases = (gpu_pool.data_ptr(), host_pool.data_ptr())
        on_gpu = gpu_pool.device.type == "cuda"
        self._one = driver.copier() if on_gpu else _moved
        self._many = driver.batch_copier(to_device, gpu_pool.device.index) if on_gpu and batch else None
        self._reserve(_START_CAPACITY)

    @property
    def batches(self) -> bool:
        """Whether a submission is one call whatever its extents."""
        return self._many is not None

    def __call__(self, gpu: np.ndarray, host: np.ndarray, stream: int) -> int:
        count = self._lay_out(gpu, host)
        if self._many is not None:
            self._many(*self._addresses, count, stream)
            return 1
        for dst, src, size in self._table[:, :count].T.tolist():
            self._one(dst, src, size, stream)
        return count

    def _lay_out(self, gpu: np.ndarray, host: np.ndarray) -> int:
        """Fill the table with (destination, source, size) of each extent; their number."""
        if len(gpu) > self._table.shape[1]:
            self._reserve(2 * len(gpu))
        first_gpu, first_host, blocks = extents(gpu, host) if len(gpu) > _FEW else (gpu, host, 1)
        count = len(first_gpu)
        dst, src, size = self._table[:, :count]
        ours, theirs = (dst, src) if self._to_device else (src, dst)
        np.multiply(first_gpu, self._bytes, out=ours)
        ours += self._bases[0]
        np.multiply(first_host, self._bytes, out=theirs)
        theirs += self._bases[1]
        np.multiply(blocks, self._bytes, out=size)
        return count

    def _reserve(self, capacity: int) -> None:
        self._table = np.empty((3, capacity), np.int64)
        self._addresses = tuple(row.ctypes.data for row in self._table)


def extents(gpu: np.ndarray, host: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first slot on the GPU, first slot in host memory, blocks) of each extent, in order of GPU slots.

    `gpu`, `host`: int64 [n], the places of n different blocks; the order does not matter.
    """
    order = gpu.argsort()
    gpu, host = gpu[order], host[order]
    apart = gpu[1:] - gpu[:-1] != 1
    apart |= host[1:] - host[:-1] != 1
    bounds = np.empty(np.count_nonzero(apart) + 2, np.int64)
    bounds[0], bounds[-1] = 0, len(gpu)
    bounds[1:-1] = apart.nonzero()[0]
    bounds[1:-1] += 1
    first = bounds[:-1]
    return gpu[first], host[first], bounds[1:] - first


def _moved(dst: int, src: int, size: int, stream: int) -> None:
    ctypes.memmove(dst, src, size)


Mover = Callable[[np.ndarray, np.ndarray, int], int]


def check_pools(gpu_pool: torch.Tensor, host_pool: torch.Tensor) -> None:
    """Raises PagedKVError unless the two hold blocks of one size, without gaps."""
    if gpu_pool[0].nbytes != host_pool[0].nbytes:
        raise PagedKVError(f"a block has {gpu_pool[0].nbytes} bytes on the GPU, {host_pool[0].nbytes} in host memory")
    if not (gpu_pool.is_contiguous() and host_pool.is_contiguous()):
        raise PagedKVError("blocks of a pool have gaps between them")
