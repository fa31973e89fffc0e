"""What each slot of vLLM's pool holds, told by its block pool itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NOTHING = -1


class Contents:
    """Content ids by GPU slot and by slot of the CPU tier.

    A content is born when the pool hands out a block; a prefix hit is the same content; a block loaded from the CPU
    tier is the content that was stored there. `attach` wraps a method of the block pool's instance, so that vLLM itself
    stays as it is.
    """

    def __init__(self, slots: int) -> None:
        self.on_gpu = np.full(slots, NOTHING, np.int64)
        self.on_cpu: dict[int, int] = {}
        self.born = 0

    def attach(self, pool: Any) -> None:
        """`pool`: a live `vllm.v1.core.block_pool.BlockPool`."""
        get_new_blocks = pool.get_new_blocks

        def watched(count: int) -> Any:
            blocks = get_new_blocks(count)
            self._bear([block.block_id for block in blocks])
            return blocks

        pool.get_new_blocks = watched

    def _bear(self, slots: Sequence[int]) -> None:
        self.on_gpu[slots] = np.arange(self.born, self.born + len(slots))
        self.born += len(slots)

    def store(self, slots: Sequence[int], cpu_slots: Sequence[int]) -> np.ndarray:
        """GPU `slots` are copied to `cpu_slots`; returns their contents."""
        contents = self.on_gpu[slots]
        self.on_cpu.update(zip(cpu_slots, contents.tolist(), strict=True))
        return contents

    def load(self, slots: Sequence[int], cpu_slots: Sequence[int]) -> np.ndarray:
        """GPU `slots`, just handed out, take what `cpu_slots` hold; returns these contents."""
        contents = np.array([self.on_cpu[slot] for slot in cpu_slots], np.int64)
        self.on_gpu[slots] = contents
        return contents
