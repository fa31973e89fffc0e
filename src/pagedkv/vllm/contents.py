"""What each slot of vLLM's pool holds, told by its block pool itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.trace.schema import Event

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
        self._served = ""
        """Request for which slots are being looked for."""
        self._evicted: list[tuple[Event, str, int]] = []

    def attach(self, scheduler: Any) -> None:
        """Watch a live scheduler's KV cache manager, block pool and CPU tier by wrapping methods of the instances."""
        manager = scheduler.kv_cache_manager
        pool = manager.block_pool
        allocate, get_new_blocks, evict = manager.allocate_slots, pool.get_new_blocks, pool._maybe_evict_cached_block

        def watched_allocate(request: Any, *arguments: Any, **named: Any) -> Any:
            self._served = request.request_id
            return allocate(request, *arguments, **named)

        def watched_new(count: int) -> Any:
            blocks = get_new_blocks(count)
            self._bear([block.block_id for block in blocks])
            return blocks

        def watched_evict(block: Any) -> bool:
            evicted = evict(block)
            if evicted:
                self._evicted.append((Event.EVICT, self._served, int(self.on_gpu[block.block_id])))
            return evicted

        manager.allocate_slots = watched_allocate
        pool.get_new_blocks, pool._maybe_evict_cached_block = watched_new, watched_evict
        if scheduler.connector is not None:
            self._attach_tier(scheduler.connector.connector_scheduler.manager)

    def _attach_tier(self, tier: Any) -> None:
        """Watch a `vllm.v1.kv_offload.cpu.manager.CPUOffloadingManager`."""
        prepare_store, evict = tier.prepare_store, tier._policy.evict

        def watched_store(keys: Any, context: Any) -> Any:
            self._served = context.req_id
            return prepare_store(keys, context)

        def watched_evict(count: int, protected: Any) -> Any:
            evicted = evict(count, protected)
            for _, block in evicted or ():
                self._evicted.append((Event.HOST_EVICT, self._served, self.on_cpu[block.block_id]))
            return evicted

        tier.prepare_store, tier._policy.evict = watched_store, watched_evict

    def evictions(self) -> Iterator[tuple[Event, str, int]]:
        """(kind, name of the request for which, content as a trace numbers it) since it was asked last, in order."""
        evicted, self._evicted = self._evicted, []
        for kind, name, content in evicted:
            yield kind, name, int(self._names[content])

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
