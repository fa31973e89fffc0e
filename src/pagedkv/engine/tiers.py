"""Where each block is, and the transitions between GPU and host.

A content is *absent* (no slot), *loading* (slot taken, not yet seen complete), *resident*, or *leaving* (being
stored; it keeps its slot until the copy is done). Full blocks are written through once and are then free to evict;
the partial last block of a request is stored when the request leaves the batch. References pin, and so do transfers
until they are seen complete, which happens at step boundaries, or when the engine waits for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pagedkv.columns import fitted
from pagedkv.device.base import Device
from pagedkv.device.link import Transfer
from pagedkv.engine.blocks import NEVER, BlockStates
from pagedkv.engine.feedback import Feedback
from pagedkv.engine.host import HostTier
from pagedkv.engine.pool import Pool
from pagedkv.errors import PagedKVError

LOAD, STORE = 0, 1
DEMAND, PREFETCH, WRITE_THROUGH = 0, 1, 2


@dataclass(slots=True)
class Job:
    """A transfer whose completion has not been seen."""

    number: int
    direction: int
    cause: int
    contents: np.ndarray
    ready_s: np.ndarray
    issue_s: float
    start_s: float


class Tiers:
    """GPU pool and host tier, and the state of every block in them.

    `host=None` is an engine without offload: nothing is stored, evicted contents are lost. `on_lost` is told which
    contents exist nowhere any more; `on_seen` gets each job when its completion is seen (the recorder's hook);
    `feedback` is told of arrivals and evictions, if the policy wants to know.
    """

    def __init__(self, states: BlockStates, pool: Pool, device: Device, host: HostTier | None) -> None:
        self.states = states
        self.pool = pool
        self.device = device
        self.host = host
        self.all_layers = device.geometry.layers
        self.block_bytes = device.geometry.block_bytes
        self.on_lost: Callable[[np.ndarray], None] = lambda contents: None
        self.on_seen: Callable[[Job], None] | None = None
        self.feedback: Feedback | None = None
        device.attach(states, pool.usable + 1)
        if host is not None:
            host.on_discard = device.discarded
        self.loads: deque[Job] = deque()
        self.stores: deque[Job] = deque()
        self.loading_blocks = 0
        """Blocks in `loads`."""
        self.evicted_unused = 0
        self.unused_block_s = 0.0
        self._protection = np.full(0, -1, np.int64)
        self._round = 0
        self._jobs = 0

    # ------------------------------------------------------------ completions
    def collect(self) -> None:
        """See what has completed by now."""
        for job in self.device.observe(self.loads, self.stores):
            if job.direction == LOAD:
                self.states.ready_s[job.contents] = job.ready_s
        now = self.device.now_s
        if self.loads and self.loads[0].ready_s[0] <= now:
            arrived = self._completed(self.loads, now)
            self.states.loading[arrived] = False
            self.loading_blocks -= len(arrived)
            self.pool.offer(arrived[self.states.references[arrived] == 0])
        if self.stores and self.stores[0].ready_s[0] <= now:
            stored = self._completed(self.stores, now)
            self.states.storing[stored] = False
            lost = self.host.add(stored)
            if len(lost):
                self.on_lost(lost[self.states.slot[lost] < 0])

    def _completed(self, jobs: deque[Job], now_s: float) -> np.ndarray:
        """Contents that have arrived, oldest first; a job of which a part has arrived keeps the rest."""
        done: list[np.ndarray] = []
        while jobs and jobs[0].ready_s[0] <= now_s:
            job = jobs.popleft()
            arrived = len(job.contents)
            if job.ready_s[-1] > now_s:
                arrived = int(np.searchsorted(job.ready_s, now_s, side="right"))
                jobs.appendleft(replace(job, contents=job.contents[arrived:], ready_s=job.ready_s[arrived:]))
                job = replace(job, contents=job.contents[:arrived], ready_s=job.ready_s[:arrived])
            if self.on_seen is not None:
                self.on_seen(job)
            if self.feedback is not None and job.direction == LOAD:
                self.feedback.arrived(job.contents, job.cause == PREFETCH)
            done.append(job.contents)
        return done[0] if len(done) == 1 else np.concatenate(done)

    def wait_for_a_transfer(self) -> bool:
        """Let time pass until the next unseen transfer completes; False when there is none."""
        pending = [jobs[0] for jobs in (self.loads, self.stores) if jobs]
        if not pending:
            return False
        self.device.wait_for(min(pending, key=lambda job: float(job.ready_s[0])))
        self.collect()
        return True

    # ------------------------------------------------------------ references
    def pin(self, contents: np.ndarray) -> None:
        """One more running request holds `contents`."""
        references = self.states.references
        self.pool.withdraw(contents[self.pool.eviction.members(contents)])
        references[contents] += 1

    def unpin(self, contents: np.ndarray) -> None:
        """A running request lets go of `contents`, listed in the order in which they should be evicted."""
        states = self.states
        states.references[contents] -= 1
        idle = contents[states.references[contents] == 0]
        self.pool.offer(idle[(states.slot[idle] >= 0) & ~states.loading[idle]])

    # ------------------------------------------------------------ room
    def protect(self, contents: np.ndarray) -> None:
        """Spare `contents` from eviction by prefetches until `end_protection`."""
        self._protection = fitted(self._protection, self.states.count)
        self._protection[contents] = self._round

    def end_protection(self) -> None:
        self._round += 1

    def room_for_prefetch(self, count: int) -> int:
        """Free up to `count` slots without touching what is protected; returns how many are free (at most `count`)."""
        if count > self.pool.free_count and self.pool.evictable_count:
            self._evict(count - self.pool.free_count, self._unprotected, by_prefetch=True)
        return min(count, self.pool.free_count)

    @property
    def room_at_once(self) -> int:
        """Slots that several owners can take together as if they came one by one: none, if the eviction policy minds.
        Which victims may go depends on the stores in flight, some of which a later one may find complete."""
        pool = self.pool
        if not pool.eviction.leaps:
            return 0
        return pool.free_count if self.stores else pool.available

    def room_for_step(self, count: int) -> None:
        """Free `count` slots for what the step to come needs, waiting for transfers where there is no other way."""
        while self.pool.free_count < count:
            if self._evict(count - self.pool.free_count, self._not_storing) == 0 and not self.wait_for_a_transfer():
                raise PagedKVError(
                    f"a step needs {count} more blocks, but only {self.pool.available} of {self.pool.usable} are free"
                )

    def take_slots(self, contents: np.ndarray) -> None:
        """Slots for what the step to come needs: free ones first, then those of victims, as vLLM's queue gives them."""
        free = min(len(contents), self.pool.free_count)
        self.pool.place(contents[:free])
        if free < len(contents):
            self.room_for_step(len(contents) - free)
            self.pool.place(contents[free:])

    def _not_storing(self, contents: np.ndarray) -> np.ndarray:
        return ~self.states.storing[contents]

    def _unprotected(self, contents: np.ndarray) -> np.ndarray:
        allowed = ~self.states.storing[contents]
        if len(self._protection):
            known = contents < len(self._protection)
            allowed[known] &= self._protection[contents[known]] != self._round
        return allowed

    def _evict(self, count: int, allowed: Callable[[np.ndarray], np.ndarray], by_prefetch: bool = False) -> int:
        victims = self.pool.victims(count, allowed)
        if len(victims):
            states = self.states
            self.pool.withdraw(victims)
            self.pool.eviction.evicted(victims)
            self._vacate(victims)
            states.layers[victims] = 0
            waited = states.prefetched_step[victims] != NEVER
            if self.feedback is not None:
                self.feedback.evicted(victims, waited, by_prefetch)
            unused = victims[waited]
            if len(unused):
                self.evicted_unused += len(unused)
                self.unused_block_s += float(np.maximum(0.0, self.device.now_s - states.ready_s[unused]).sum())
                states.prefetched_step[unused] = NEVER
                states.wasted[unused] = True
            self.on_lost(victims[~states.on_host[victims]])
        return len(victims)

    def _vacate(self, contents: np.ndarray) -> None:
        self.device.vacated(self.states.slot[contents])
        self.pool.vacate(contents)

    # ------------------------------------------------------------ transitions
    def create(self, contents: np.ndarray) -> None:
        """First write of `contents` by a running request: resident at once, referenced, without a host copy."""
        if len(contents) == 0:
            return
        self.take_slots(contents)
        self.states.layers[contents] = self.all_layers
        self.states.ready_s[contents] = 0.0
        self.states.references[contents] = 1

    def load(self, contents: np.ndarray, cause: int, layers: int | None = None, quantum: int | None = None) -> float:
        """Start the load of what `contents` lack up to `layers` (None: all), in order; slots must be free.

        Returns the time at which the last of them arrives. Whole blocks travel as one piece each, single layers as
        pieces of (block, layer). Layers of `contents` that are on their way are waited for.
        """
        self._settle_loads_of(contents)
        states = self.states
        target = self.all_layers if layers is None else layers
        self.pool.withdraw(contents[self.pool.eviction.members(contents)])
        self.pool.place(contents[states.slot[contents] < 0])
        present = states.layers[contents]
        whole = contents[present == 0] if target == self.all_layers else contents[:0]
        partial = contents[present > 0] if target == self.all_layers else contents
        done = self.device.now_s
        if len(whole):
            transfer = self.device.h2d.submit(self.device.now_s, len(whole), self.block_bytes, quantum)
            done = self._start(whole, transfer, transfer.ready_s, cause, quantum)
        if len(partial):
            pieces = target - states.layers[partial].astype(np.int64)
            transfer = self.device.h2d.submit(
                self.device.now_s, int(pieces.sum()), self.block_bytes // self.all_layers, quantum and quantum * target
            )
            done = self._start(partial, transfer, transfer.ready_s[np.cumsum(pieces) - 1], cause, quantum)
        states.layers[contents] = target
        if self.host is not None:
            self.host.touch(contents)
        return done

    def load_by_layers(self, contents: np.ndarray, pieces_by_layer: np.ndarray) -> np.ndarray:
        """Start a demand load in which layer 0 of all `contents` travels first, then layer 1, and so on.

        `pieces_by_layer[l]`: pieces that have to arrive until layer l is complete. Returns the arrival of each layer.
        Layers of `contents` that are on their way are waited for.
        """
        self._settle_loads_of(contents)
        self.pool.withdraw(contents[self.pool.eviction.members(contents)])
        self.pool.place(contents[self.states.slot[contents] < 0])
        now = self.device.now_s
        pieces = int(pieces_by_layer[-1])
        transfer = self.device.h2d.submit(now, pieces, self.block_bytes // self.all_layers)
        self._start(contents, transfer, np.full(len(contents), transfer.done_s), DEMAND)
        self.states.layers[contents] = self.all_layers
        if self.host is not None:
            self.host.touch(contents)
        return np.where(pieces_by_layer > 0, transfer.ready_s[np.maximum(pieces_by_layer, 1) - 1], now)

    def _settle_loads_of(self, contents: np.ndarray) -> None:
        """Wait until no load brings layers of `contents`: a block is in one load at a time."""
        while self.states.loading[contents].any():
            self.wait_for_a_transfer()

    def delay_last_load(self, extra_s: float) -> None:
        """The newest load took longer than its pieces: small pages cost submissions of their own (D-page)."""
        job = self.loads.pop()
        self.device.h2d.free_at_s += extra_s
        self.device.h2d.busy_s += extra_s
        ready_s = job.ready_s + extra_s
        self.states.ready_s[job.contents] = ready_s
        self.loads.append(replace(job, ready_s=ready_s))

    def _start(
        self, contents: np.ndarray, transfer: Transfer, ready_s: np.ndarray, cause: int, quantum: int | None = None
    ) -> float:
        self.states.ready_s[contents] = ready_s
        self.states.loading[contents] = True
        self.loading_blocks += len(contents)
        self._jobs += 1
        job = Job(self._jobs, LOAD, cause, contents, ready_s, self.device.now_s, transfer.start_s)
        self.loads.append(job)
        self.device.move(job, quantum)
        return float(ready_s[-1])

    def store(self, contents: np.ndarray) -> None:
        """Write resident `contents` through to the host. Without a host tier nothing happens."""
        if self.host is None or len(contents) == 0:
            return
        transfer = self.device.d2h.submit(self.device.now_s, len(contents), self.block_bytes)
        self.states.storing[contents] = True
        self._jobs += 1
        job = Job(self._jobs, STORE, WRITE_THROUGH, contents, transfer.ready_s, self.device.now_s, transfer.start_s)
        self.stores.append(job)
        self.device.move(job, None)

    def settle_stores_of(self, contents: np.ndarray) -> None:
        """Wait until no store reads `contents`: they are about to be written."""
        while self.states.storing[contents].any():
            self.wait_for_a_transfer()

    def overwrite(self, contents: np.ndarray) -> None:
        """A running request is about to append to partial `contents`: host copies of them are stale."""
        self.settle_stores_of(contents)
        if self.host is not None:
            self.host.discard(contents)

    def drop(self, contents: np.ndarray) -> None:
        """Nobody will read `contents` again: their slots are free at once, or as soon as no transfer uses them."""
        states = self.states
        idle = contents[(states.references[contents] == 0) & (states.slot[contents] >= 0)]
        idle = idle[~states.storing[idle] & ~states.loading[idle]]
        self.pool.withdraw(idle[self.pool.eviction.members(idle)])
        self.pool.eviction.dropped(idle)
        self._vacate(idle)
        states.layers[idle] = 0
        if self.host is not None:
            self.host.discard(idle)
        self.on_lost(idle)

    # ------------------------------------------------------------ checks
    def assert_consistency(self) -> None:
        """Invariants of the state machine; O(contents), called after every step in tests."""
        states, count = self.states, self.states.count
        self.pool.assert_consistency()
        if self.host is not None:
            self.host.assert_consistency()
        assert self.loading_blocks == sum(len(job.contents) for job in self.loads), "loading blocks are counted wrongly"
        layers, slot = states.layers[:count], states.slot[:count]
        assert ((layers > 0) == (slot >= 0)).all(), "a block holds a slot without layers, or layers without a slot"
        for jobs, flag in ((self.loads, states.loading), (self.stores, states.storing)):
            flying = np.concatenate([job.contents for job in jobs]) if jobs else np.zeros(0, np.int64)
            assert len(np.unique(flying)) == len(flying), "a block is in two jobs of one direction"
            assert np.array_equal(np.sort(flying), np.flatnonzero(flag[:count])), "jobs and block states disagree"
            assert (slot[flying] >= 0).all(), "a block in flight has no slot"
        idle = (states.references[:count] == 0) & (slot >= 0) & ~states.loading[:count]
        assert int(idle.sum()) == self.pool.evictable_count, "an unreferenced resident block is not evictable"
        assert (states.references[:count] >= 0).all(), "a block was released more often than it was held"
