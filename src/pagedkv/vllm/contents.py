"""What each slot of vLLM's pool holds, told by its block pool itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pagedkv.columns import fitted

NOTHING = -1


class Contents:
    """Content ids by GPU slot and by slot of the CPU tier.

    A content is born when the pool hands out a block; a prefix hit is the same content; a block loaded from the CPU
    tier is the content that was stored there. Traces number contents by their first row in a table: not every block
    that is handed out ever stands in one, because some are loaded into, and some requests give way before they run.
    """

    def __init__(self, slots: int) -> None:
        self.on_gpu = np.full(slots, NOTHING, np.int64)
        self.on_cpu: dict[int, int] = {}
        self.named = 0
        """Contents that stand in a table."""
        self._born = 0
        self._names = np.full(slots, NOTHING, np.int64)

    def attach(self, pool: Any) -> None:
        """Watch a live `vllm.v1.core.block_pool.BlockPool` by wrapping a method of the instance."""
        get_new_blocks = pool.get_new_blocks

        def watched(count: int) -> Any:
            blocks = get_new_blocks(count)
            self._bear([block.block_id for block in blocks])
            return blocks

        pool.get_new_blocks = watched

    def _bear(self, slots: Sequence[int]) -> None:
        self.on_gpu[slots] = np.arange(self._born, self._born + len(slots))
        self._born += len(slots)
        self._names = fitted(self._names, self._born, NOTHING)

    def placed(self, slots: Sequence[int]) -> np.ndarray:
        """Contents of `slots`, which stand in a table, as a trace numbers them."""
        contents = self.on_gpu[slots]
        new = contents[self._names[contents] == NOTHING]
        self._names[new] = np.arange(self.named, self.named + len(new))
        self.named += len(new)
        return self._names[contents]

    def store(self, slots: Sequence[int], cpu_slots: Sequence[int]) -> np.ndarray:
        """GPU `slots` are copied to `cpu_slots`; returns their contents, as a trace numbers them."""
        self.on_cpu.update(zip(cpu_slots, self.on_gpu[slots].tolist(), strict=True))
        return self._names[self.on_gpu[slots]]

    def load(self, slots: Sequence[int], cpu_slots: Sequence[int]) -> np.ndarray:
        """GPU `slots`, just handed out, take what `cpu_slots` hold; returns these contents, as a trace numbers them."""
        self.on_gpu[slots] = [self.on_cpu[slot] for slot in cpu_slots]
        return self._names[self.on_gpu[slots]]
