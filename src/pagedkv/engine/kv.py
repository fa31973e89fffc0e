"""Block tables of the closed loop: vLLM's KV cache manager over two tiers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pagedkv.engine.memory import StepMemory
from pagedkv.engine.prefix import PrefixCache
from pagedkv.engine.requests import NOT_COUNTED, Request
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
        self.live_blocks = 0
        """Blocks in the tables of all requests, those of waiting ones that kept theirs included."""
        memory.tiers.on_lost = self._forget
        self.sharing = False
        """Some request that was admitted has blocks that can be found."""
        self._losses = 0
        """Times at which contents were lost."""
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
            if request.whole_at == self._losses:
                return request.contents
            existing = self._states.existing(request.contents)
            if len(existing) == request.blocks:
                request.whole_at = self._losses
            return existing
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

    def _forget(self, contents: np.ndarray) -> None:
        """`contents` exist nowhere any more."""
        self._losses += len(contents) > 0
        self.prefix.forget(contents)

    # ------------------------------------------------------------ transitions
    def extend(self, request: Request, tokens: int) -> bool:
        """Give a running request the blocks for `tokens` more tokens."""
        needed = -(-(request.computed + tokens) // BLOCK_TOKENS) - request.blocks
        if needed > self._pool.available:
            return False
        self._create(request, needed)
        return True

    def extend_together(self, growing: Sequence[tuple[Request, int]]) -> bool:
        """Give running requests their numbers of new blocks, in order; False if there may not be room for all."""
        total = sum(blocks for _, blocks in growing)
        if total > self.memory.tiers.room_at_once:
            return False
        if total > len(growing):
            for request, blocks in growing:
                self._create(request, blocks)
        elif growing:
            self.append_blocks([request for request, _ in growing], [self.memory.step] * total)
        return True

    def append_blocks(self, requests: Sequence[Request], steps: Sequence[int]) -> None:
        """One new block for each of `requests`, at `steps`. There is room."""
        contents = self._states.new(len(requests))
        self.memory.create(contents)
        self.live_blocks += len(contents)
        numbers = contents.tolist()
        blocks = [request.append_one(content) for request, content in zip(requests, numbers, strict=True)]
        if self.recorder is not None:
            slots = self._states.slot[contents].tolist()
            for request, step, block, content, slot in zip(requests, steps, blocks, numbers, slots, strict=True):
                self.recorder.table(step, request.number, block, (content,), (slot,))

    def register_filled(self, request: Request, computed: int, will_be: int) -> None:
        """The blocks that become full between `computed` and `will_be` tokens can be found by those who share them."""
        if not self.sharing or not request.shares:
            return
        first, last = computed // BLOCK_TOKENS, min(will_be // BLOCK_TOKENS, len(request.keys))
        if last > first:
            self.prefix.register(request.contents[first:last], request.keys[first:last])

    def register_known(self, request: Request, computed: int) -> None:
        """`register_filled` up to `computed` tokens from where it was left, as far as the tokens are known."""
        known = min(computed, request.tokens - request.in_flight)
        if known > request.cached:
            self.register_filled(request, request.cached, known)
            request.cached = known

    def register_decoded(self, requests: Sequence[Request], computed: np.ndarray, steps: int) -> None:
        """`register_filled` for `steps` steps, in each of which every request computes one token behind `computed`."""
        if not self.sharing:
            return
        firsts, ends = (computed // BLOCK_TOKENS).tolist(), ((computed + steps) // BLOCK_TOKENS).tolist()
        rows = [row for row, request in enumerate(requests) if request.shares and ends[row] > firsts[row]]
        if not rows:
            return
        contents = np.concatenate([requests[row].contents[firsts[row] : ends[row]] for row in rows])
        keys = np.concatenate([requests[row].keys[firsts[row] : ends[row]] for row in rows])
        # Of equal blocks the one that is full first is found first; in one step it is the one in front in the batch.
        full_at = [BLOCK_TOKENS * np.arange(firsts[row] + 1, ends[row] + 1) - computed[row] for row in rows]
        order = np.argsort(np.concatenate(full_at), kind="stable")
        self.prefix.register(contents[order], keys[order])

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
        self.sharing |= self.settings.prefix_cache and request.shares
        self.live_blocks += len(contents) - request.blocks
        if kept:
            request.truncate(len(contents))
        else:
            request.append(contents)
            self.host_hit_blocks += absent if request.rank < 0 else 0
        request.computed = computed
        partial = request.partial
        table = request.contents.copy()
        self.memory.enter(request.number, table, partial)
        # Loads take their slots before the new blocks do; both happen at this boundary.
        self.memory.reserve(contents)
        self._record(request, 0, table)
        needed = -(-(computed + tokens) // BLOCK_TOKENS) - request.blocks
        self._create(request, needed)
        return tokens

    def release(self, request: Request, finished: bool, keep_table: bool) -> None:
        """`request` leaves the batch: it finished, or it was preempted with or without its table."""
        if self._workload_aware is not None:
            self._workload_aware.released(request.contents.copy(), self._fate(request), request.turn)
        gone = finished or not keep_table
        left = self._unfindable(request) if gone else request.partial
        self.memory.leave(request.number, request.contents.copy(), left, gone)
        if not keep_table:
            self._forget_table(request)

    def give_up(self, request: Request) -> None:
        """`request`, which waits, will not come back to the table that it may have kept."""
        self.memory.tiers.drop(self._unfindable(request))
        self._forget_table(request)

    def _forget_table(self, request: Request) -> None:
        self.live_blocks -= request.blocks
        request.truncate(0)
        request.cached, request.in_flight = NOT_COUNTED, False

    def _unfindable(self, request: Request) -> np.ndarray:
        """Contents of the request's table that no other one will find, in the order in which their slots are reused."""
        return request.partial if self.settings.prefix_cache else request.contents[::-1].copy()

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
        self.live_blocks += blocks

    def _record(self, request: Request, first_block: int, contents: np.ndarray) -> None:
        if self.recorder is not None and len(contents):
            self.recorder.table(self.memory.step, request.number, first_block, contents, self._states.slot[contents])
