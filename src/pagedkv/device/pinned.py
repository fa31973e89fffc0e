"""Host memory that a GPU can reach by itself, of exactly the size that was asked for.

torch's own pinned allocator rounds to powers of two, which turns 100 GB into 128, and an allocation that quietly stays
pageable copies at a twentieth of the rate (systems.md, bug class 16). So: map, touch by all cores, register, check.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

import numpy as np
import torch

from pagedkv.device import driver
from pagedkv.errors import PagedKVError

FEWER = "ask for fewer host blocks"


class PinnedPool:
    """`tensor`, uint8 [blocks, block_bytes], pinned if `device` is a CUDA device, plain memory if it is cpu.

    One registration covers all of it, because a copy must not cross the border between two. Use as a context manager,
    or `close`, after the last copy is over. Raises PagedKVError where the memory cannot be had or pinned.
    """

    def __init__(self, blocks: int, block_bytes: int, device: torch.device | str) -> None:
        if blocks < 1 or block_bytes < 1:
            raise PagedKVError(f"a host pool of {blocks} blocks of {block_bytes} bytes holds nothing")
        self.blocks = blocks
        self.block_bytes = block_bytes
        self._device = torch.device(device)
        self._registered = False
        self.tensor = torch.from_numpy(_memory(self.bytes)).view(blocks, block_bytes)
        # A fill by all threads: a page is given out, zeroed, at its first touch, which the driver does on one core.
        self.tensor.zero_()
        if self._device.type == "cuda":
            self._register()

    @property
    def bytes(self) -> int:
        return self.blocks * self.block_bytes

    def _register(self) -> None:
        torch.cuda.synchronize(self._device)  # now the driver has a current context
        error = driver.register(self.tensor.data_ptr(), self.bytes)
        self._registered = not error
        if error or not self.tensor.is_pinned():
            cause = error or "the runtime does not see it as pinned"
            self.close()
            raise PagedKVError(
                f"{_size(self.bytes)} of host memory cannot be pinned ({cause}): {FEWER}, or lift the limit on locked "
                "memory (ulimit -l, or that of the container)"
            )

    def close(self) -> None:
        """Unpin the memory and drop it. It goes back to the system with the last view of it. May be called twice."""
        if self._registered:
            driver.unregister(self.tensor.data_ptr())
            self._registered = False
        self.tensor = torch.empty((0, self.block_bytes), dtype=torch.uint8)

    def __enter__(self) -> PinnedPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _memory(size: int) -> np.ndarray:
    """`size` bytes of anonymous memory in huge pages where there are any, freed with the last reference to them."""
    available = _available_bytes()
    if size > available:
        raise PagedKVError(f"a host pool of {_size(size)} does not fit into {_size(available)} of free memory: {FEWER}")
    try:
        # Private, for huge pages; not inherited, for a fork would make the next write move a page away from the GPU.
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, ValueError, OverflowError) as error:
        raise PagedKVError(f"a host pool of {_size(size)} cannot be mapped ({error}): {FEWER}") from error
    for advice in (mmap.MADV_HUGEPAGE, mmap.MADV_DONTFORK):
        with contextlib.suppress(OSError):
            mapped.madvise(advice)
    return np.frombuffer(mapped, np.uint8)


def _available_bytes() -> int:
    """What this process may still use: free memory of the machine, or what its control group leaves of it."""
    limits = []
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")))
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, KeyError):
        used, limit = (int((group / f"memory.{name}").read_text()) for name in ("current", "max"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Cached files count as used until somebody needs the memory.
        limits.append(limit - used + int(stat["inactive_file"]) + int(stat["active_file"]))
    return min(limits, default=1 << 62)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 100_000_000 else f"{count} bytes"
