"""Copies of blocks between GPU and host: those on their way, and what their arrival changes.

A block on its way keeps its slot. That it has arrived is seen at step boundaries, or when the engine waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pagedkv.device.base import Device
from pagedkv.device.link import Transfer
from pagedkv.engine.blocks import BlockStates
from pagedkv.engine.feedback import Feedback
from pagedkv.engine.host import HostTier
from pagedkv.engine.pool import Pool

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


class Transfers:
    """Loads and stores, and the columns of `states` that follow from them.

    `host=None` is an engine without offload: nothing is stored. `on_lost` is told which contents exist nowhere any
    more; `on_seen` gets each job when its completion is seen (the recorder's hook); `feedback` is told of arrivals and
    evictions, if the policy wants to know.
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
        self._jobs = 0

    # ------------------------------------------------------------ departures
    def load(self, contents: np.ndarray, cause: int, layers: int | None = None, quantum: int | None = None) -> float:
        """Start the load of what `contents` lack up to `layers` (None: all), in order; slots must be free.

        Returns the time at which the last of them arrives. Whole blocks travel as one piece each, single layers as
        pieces of (block, layer). Layers of `contents` that are on their way are waited for.
        """
        self._claim(contents)
        states = self.states
        target = self.all_layers if layers is None else layers
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
        self._claim(contents)
        now = self.device.now_s
        pieces = int(pieces_by_layer[-1])
        transfer = self.device.h2d.submit(now, pieces, self.block_bytes // self.all_layers)
        self._start(contents, transfer, np.full(len(contents), transfer.done_s), DEMAND)
        self.states.layers[contents] = self.all_layers
        if self.host is not None:
            self.host.touch(contents)
        return np.where(pieces_by_layer > 0, transfer.ready_s[np.maximum(pieces_by_layer, 1) - 1], now)

    def store(self, contents: np.ndarray) -> None:
        """Write resident `contents` through to the host. Without a host tier nothing happens."""
        if self.host is None or len(contents) == 0:
            return
        transfer = self.device.d2h.submit(self.device.now_s, len(contents), self.block_bytes)
        self.states.storing[contents] = True
        self._hand_over(STORE, WRITE_THROUGH, contents, transfer, transfer.ready_s)

    def delay_last_load(self, extra_s: float) -> None:
        """The newest load took longer than its pieces: small pages cost submissions of their own (D-page)."""
        job = self.loads.pop()
        self.device.h2d.free_at_s += extra_s
        self.device.h2d.busy_s += extra_s
        ready_s = job.ready_s + extra_s
        self.states.ready_s[job.contents] = ready_s
        self.loads.append(replace(job, ready_s=ready_s))

    def settle_stores_of(self, contents: np.ndarray) -> None:
        """Wait until no store reads `contents`: they are about to be written."""
        while self.states.storing[contents].any():
            self.wait_for_a_transfer()

    def _claim(self, contents: np.ndarray) -> None:
        """Slots for those of `contents`, about to be loaded, that have none. A block is in one load at a time: one that
        brings other layers of them is waited for."""
        while self.states.loading[contents].any():
            self.wait_for_a_transfer()
        self.pool.withdraw(contents[self.pool.eviction.members(contents)])
        self.pool.place(contents[self.states.slot[contents] < 0])

    def _start(
        self, contents: np.ndarray, transfer: Transfer, ready_s: np.ndarray, cause: int, quantum: int | None = None
    ) -> float:
        self.states.ready_s[contents] = ready_s
        self.states.loading[contents] = True
        self.loading_blocks += len(contents)
        self._hand_over(LOAD, cause, contents, transfer, ready_s, quantum)
        return float(ready_s[-1])

    def _hand_over(
        self,
        direction: int,
        cause: int,
        contents: np.ndarray,
        transfer: Transfer,
        ready_s: np.ndarray,
        quantum: int | None = None,
    ) -> None:
        """Make it a job of the device's."""
        self._jobs += 1
        job = Job(self._jobs, direction, cause, contents, ready_s, self.device.now_s, transfer.start_s)
        (self.loads if direction == LOAD else self.stores).append(job)
        self.device.move(job, quantum)

    # ------------------------------------------------------------ arrivals
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

    # ------------------------------------------------------------ checks
    def assert_consistency(self) -> None:
        """Jobs and block states agree."""
        states, count = self.states, self.states.count
        assert self.loading_blocks == sum(len(job.contents) for job in self.loads), "loading blocks are counted wrongly"
        for jobs, flag in ((self.loads, states.loading), (self.stores, states.storing)):
            flying = np.concatenate([job.contents for job in jobs]) if jobs else np.zeros(0, np.int64)
            assert len(np.unique(flying)) == len(flying), "a block is in two jobs of one direction"
            assert np.array_equal(np.sort(flying), np.flatnonzero(flag[:count])), "jobs and block states disagree"
            assert (states.slot[flying] >= 0).all(), "a block in flight has no slot"
