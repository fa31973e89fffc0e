"""Block tables of the closed loop: vLLM's KV cache manager over two tiers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pagedkv.engine.memory import StepMemory
from pagedkv.engine.prefix import PrefixCache
from pagedkv.engine.requests import Request
from pagedkv.engine.settings import EngineSettings
from pagedkv.eviction.workload_aware import Fate, WorkloadAware
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.recorder import Recorder


class KvManager:
    """Gives requests their blocks. Allocation is all or nothing: a method that answers False has changed nothing."""

    def __init__(self, memory: StepMemory, settings: EngineSettings, recorder: Recorder | None) -> None:
        self.memory = memory
        self.settings = settings
        self.recorder = recorder
        self.prefix = PrefixCache()
        self.host_hit_blocks = 0
        """Blocks found by first admissions in the host tier only."""
        memory.tiers.on_lost = self.prefix.forget
        self._states = memory.tiers.states
        self._pool = memory.tiers.pool
        self.goes_on: Callable[[int], bool] = lambda request: False
        """Whether the client said, when `request` finished, that another turn follows."""
        eviction = self._pool.eviction
        self._workload_aware = eviction if isinstance(eviction, WorkloadAware) else None

    # ------------------------------------------------------------ queries
    def reusable(self, request: Request) -> np.ndarray:
        """Existing contents with which `request` would start if it were admitted now."""
        if request.blocks:  # it kept its table when it left the batch
            contents = request.contents
            gone = self._gone(contents)
            return contents[: int(np.argmax(gone))] if gone.any() else contents
        if not self.settings.prefix_cache:
            return request.contents
        # At least one token has to be computed to produce the next one.
        return self.prefix.lookup(request.keys[: (request.tokens - 1) // BLOCK_TOKENS])

    def shareable(self, request: Request) -> np.ndarray:
        """Contents of the request's full blocks, with which a later one may start that continues it."""
        return request.contents[: request.computed // BLOCK_TOKENS if self.settings.prefix_cache else 0].copy()

    def all_resident(self, request: Request) -> bool:
        """Every block of the request is on the GPU, none in flight."""
        return bool(self._arrived(request.contents).all())

    def arrived(self, request: Request) -> np.ndarray:
        """The leading ones of `reusable` that are on the GPU, none in flight."""
        contents = self.reusable(request)
        here = self._arrived(contents)
        return contents if here.all() else contents[: int(np.argmin(here))]

    def missing(self, request: Request) -> np.ndarray:
        """Those of `reusable` that are not on the GPU, or still in flight."""
        contents = self.reusable(request)
        return contents[~self._arrived(contents)]

    def _arrived(self, contents: np.ndarray) -> np.ndarray:
        states, tiers = self._states, self.memory.tiers
        return (states.layers[contents] == tiers.all_layers) & (states.ready_s[contents] <= tiers.device.now_s)

    def _gone(self, contents: np.ndarray) -> np.ndarray:
        return (self._states.slot[contents] < 0) & ~self._states.on_host[contents]

    # ------------------------------------------------------------ transitions
    def extend(self, request: Request, tokens: int) -> bool:
        """Give a running request the blocks for `tokens` more tokens."""
        computed = request.computed
        needed = -(-(computed + tokens) // BLOCK_TOKENS) - request.blocks
        if needed > 0:
            if needed > self._pool.available:
                return False
            self._create(request, needed)
        if request.shares:
            self._register(request, computed, computed + tokens)
        return True

    def append_blocks(self, requests: list[Request], owners: np.ndarray, steps: np.ndarray) -> None:
        """New blocks for decoding requests, the i-th for `requests[owners[i]]` at `steps[i]`. There is room."""
        contents = self._states.new(len(owners))
        self.memory.create(contents)
        if self.recorder is not None:
            slots = self._states.slot[contents]
            for content, owner, step, slot in zip(contents, owners.tolist(), steps.tolist(), slots, strict=True):
                request = requests[owner]
                self.recorder.table_block(step, request.number, request.blocks, int(content), int(slot))
                request.append_one(content)
        else:
            for content, owner in zip(contents, owners.tolist(), strict=True):
                requests[owner].append_one(content)

    def register_filled(self, request: Request, computed: int) -> None:
        """The request's blocks up to token `computed` are full."""
        self._register(request, request.computed, computed)

    def admit(self, request: Request, budget: int, arrived_only: bool = False) -> int:
        """Let `request` join the batch with at most `budget` new tokens; returns how many, 0 if there is no room.

        Its new blocks can be found by others once it runs (`register_filled`), not before: they may wait for loads.
        `arrived_only`: it starts with what is on the GPU, and loads nothing.
        """
        contents = self.arrived(request) if arrived_only else self.reusable(request)
        kept = request.blocks > 0
        computed = min(request.computed, len(contents) * BLOCK_TOKENS) if kept else len(contents) * BLOCK_TOKENS
        tokens = min(request.tokens - computed, budget)
        goal = request.tokens if self.settings.reserve_full_prompt else computed + tokens
        absent = int((self._states.slot[contents] < 0).sum())
        idle = int(self._pool.eviction.members(contents).sum())
        if -(-goal // BLOCK_TOKENS) - len(contents) + absent > self._pool.available - idle:
            return 0
        if kept:
            request.truncate(len(contents))
        else:
            request.append(contents)
            self.host_hit_blocks += absent if request.rank < 0 else 0
        request.computed = computed
        partial = request.partial
        self.memory.enter(request.number, request.contents.copy(), partial)
        # Loads take their slots before the new blocks do; both happen at this boundary.
        self.memory.reserve(contents)
        self._record(request, 0, request.contents)
        needed = -(-(computed + tokens) // BLOCK_TOKENS) - request.blocks
        self._create(request, needed)
        return tokens

    def release(self, request: Request, finished: bool, keep_table: bool) -> None:
        """`request` leaves the batch: it finished, or it was preempted with or without its table."""
        partial = request.partial
        if self._workload_aware is not None:
            self._workload_aware.released(request.contents.copy(), self._fate(request), request.turn)
        self.memory.leave(request.number, request.contents.copy(), partial, finished or not keep_table)
        if not keep_table:
            request.truncate(0)

    def _fate(self, request: Request) -> Fate:
        if request.produced < request.output_tokens:
            return Fate.QUEUED
        return Fate.PAUSED if self.goes_on(request.number) else Fate.DONE

    def _create(self, request: Request, blocks: int) -> None:
        if blocks <= 0:
            return
        contents = self._states.new(blocks)
        self.memory.create(contents)
        self._record(request, request.blocks, contents)
        request.append(contents)

    def _register(self, request: Request, computed: int, will_be: int) -> None:
        if not request.shares:
            return
        first, last = computed // BLOCK_TOKENS, min(will_be // BLOCK_TOKENS, len(request.keys))
        if last > first and self.settings.prefix_cache:
            self.prefix.register(request.contents[first:last], request.keys[first:last])

    def _record(self, request: Request, first_block: int, contents: np.ndarray) -> None:
        if self.recorder is not None and len(contents):
            self.recorder.table(self.memory.step, request.number, first_block, contents, self._states.slot[contents])
