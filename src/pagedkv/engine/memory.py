"""One engine step as the memory sees it: who leaves, who joins, what is written, what has to be waited for.

Replay and closed loop drive the same object; they differ in where the schedule comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pagedkv.engine.address import AddressSpace
from pagedkv.engine.blocks import NEVER
from pagedkv.engine.consult import Consultation, Schedule
from pagedkv.engine.counts import Counts
from pagedkv.engine.feedback import Feedback
from pagedkv.engine.issuer import Issuer, IssuerCounts
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.transfers import DEMAND
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import PrefetchPolicy


@dataclass(frozen=True)
class Entry:
    """A request that joins the batch at this step with blocks that exist already."""

    request: int
    contents: np.ndarray


class StepMemory:
    """Tiers, issuer, policy and demand mode, driven step by step.

    A step is: `begin`; then `leave`, `enter`, `create` as the schedule says; then `settle`, which waits for what the
    step reads and returns when compute may start; then `run`, which asks the policy, and in which prefetches use the
    link while the step computes; then `finish`, which learns how long all that took. A device that computes is given
    the step between `settle` and `run`, so that the policy thinks while the step computes.
    """

    def __init__(
        self,
        tiers: Tiers,
        issuer: Issuer,
        policy: PrefetchPolicy,
        space: AddressSpace,
        demand: Demand,
        schedule: Schedule,
    ) -> None:
        if policy.demand is not None and policy.demand != demand.name:
            raise PagedKVError(f"{policy.name} runs only under {policy.demand}, not under {demand.name}")
        self.tiers = tiers
        self.issuer = issuer
        self.policy = policy
        self.space = space
        self.demand = demand
        self.consultation = Consultation(policy, tiers, issuer, space, schedule)
        self.counts = Counts()
        self.misses: list[tuple[int, np.ndarray]] = []
        self.step = 0
        self.step_s = 0.0
        self._entries: list[Entry] = []
        self._changed = True
        if policy.feedback:
            tiers.feedback = Feedback(space)

    # ------------------------------------------------------------ a step
    def begin(self, step: int) -> None:
        """Open the boundary before `step`: completions are seen here."""
        self.step = step
        in_flight = len(self.tiers.loads)
        self.tiers.collect()
        self._changed = len(self.tiers.loads) != in_flight
        self._entries = []
        self.began_s = self.compute_start_s = self.tiers.pool.eviction.now_s = self.tiers.device.now_s

    def reset_counts(self) -> None:
        """Forget what was counted so far: the warm-up is over. Prefetches that wait for their use count as issued."""
        states, device = self.tiers.states, self.tiers.device
        self.counts = Counts()
        self.misses.clear()
        self.issuer.counts = IssuerCounts(issued=int((states.prefetched_step[: states.count] != NEVER).sum()))
        self.tiers.evicted_unused, self.tiers.unused_block_s = 0, 0.0
        for link in (device.h2d, device.d2h):
            link.busy_s, link.bytes = 0.0, 0

    def leave(self, request: int, contents: np.ndarray, partial: np.ndarray, finished: bool) -> None:
        """A request leaves the batch. `partial`: its last block if that is not full (else empty).

        The partial block of a request that will come back is stored; that of a finished one is free at once.
        """
        self._changed = True
        self._name(request, contents)
        self.tiers.unpin(contents[::-1])
        if finished:
            self.tiers.drop(partial)
        else:
            self.tiers.store(partial)

    def queue_grew(self) -> None:
        """A request joined the queue: a change for policies that want to know of it."""
        self._changed |= self.policy.at_queue_entry

    def enter(self, request: int, contents: np.ndarray, partial: np.ndarray) -> None:
        """A request joins the batch with existing `contents`, and will append to `partial` (empty: to none of them).

        Its blocks are pinned at once; their slots are taken by `reserve`, their loads start in `settle`.
        """
        self._changed = True
        self._name(request, contents)
        self.tiers.pin(contents)
        self.tiers.overwrite(partial)
        self._entries.append(Entry(request, contents))

    def _name(self, request: int, contents: np.ndarray) -> None:
        if self.tiers.feedback is not None:
            self.tiers.feedback.named(request, 0, contents)

    def reserve(self, contents: np.ndarray) -> None:
        """An entering request reads the pinned `contents`; take slots for those that are absent."""
        self.tiers.pool.eviction.touch(contents[::-1])
        self.tiers.take_slots(contents[self.tiers.states.slot[contents] < 0])

    def join(self, contents: np.ndarray) -> None:
        """An entering request reads `contents`, which another one has created in this very step."""
        self.tiers.pin(contents)
        self.tiers.pool.eviction.touch(contents[::-1])

    def load_apart(self) -> float:
        """D-async: start the loads of the last `enter` without waiting; returns when the request may run."""
        entry = self._entries.pop()
        self.counts.entries += 1
        states = self.tiers.states
        self.consultation.observe(entry.request, np.arange(len(entry.contents)), entry.contents)
        self.first_uses(entry.contents)
        missing = entry.contents[states.layers[entry.contents] < self.tiers.all_layers]
        if len(missing):
            self.load(missing)
        return float(states.ready_s[entry.contents].max()) if len(entry.contents) else self.tiers.device.now_s

    def idle(self, until_s: float) -> None:
        """Nothing to compute until `until_s`: prefetches have the link to themselves."""
        if self._changed:
            self.ask_policy()
        self.issuer.pump(until_s, self.step)
        self.tiers.device.idle_until(until_s)
        self.tiers.collect()
        self.began_s = self.tiers.pool.eviction.now_s = self.tiers.device.now_s

    def create(self, contents: np.ndarray) -> None:
        """Blocks that the step writes first."""
        self._changed = True
        self.tiers.create(contents)

    def settle(self, compute_s: float) -> float:
        """Wait for what the step reads; returns the stall, the time between the boundary and the start of compute."""
        device = self.tiers.device
        self.step_s = compute_s
        entered, self._entries = self._entries, []
        self.counts.entries += len(entered)
        overlap_s = self.demand(self, entered, compute_s) if entered else 0.0
        for entry in entered:
            device.need(entry.contents[self.tiers.states.loading[entry.contents]])
        stall = device.now_s - self.began_s + overlap_s
        self.compute_start_s = self.began_s + stall
        self.counts.stall_s += stall
        return stall

    def run(self, compute_end_s: float, boundary_s: float, filled: np.ndarray) -> None:
        """Compute until `compute_end_s`, then idle until `boundary_s`, while the link serves the queue.

        `filled` are the blocks that the step completes; they are written through from the end of compute on.
        """
        wake_step = self.consultation.wake_step
        if self._changed or (wake_step is not None and self.step >= wake_step):
            self.ask_policy()
        self.issuer.pump(boundary_s, self.step)
        self.tiers.device.advance_to(compute_end_s)
        self.tiers.store(filled)
        self.tiers.device.advance_to(boundary_s)

    def finish(self, compute_s: float) -> tuple[float, float]:
        """The step is over: (stall, compute) as they were, where `settle` and `compute_s` were predictions."""
        device, predicted_s, planned_s = self.tiers.device, self.compute_start_s - self.began_s, compute_s
        stall_s, compute_s = device.finish_step(self.began_s, predicted_s, compute_s)
        self.counts.stall_s += stall_s - predicted_s
        end_s = self.began_s + stall_s + compute_s
        if compute_s > planned_s and end_s > device.now_s:
            self.issuer.pump(end_s, self.step)
            device.advance_to(end_s)
        return stall_s, compute_s

    # ------------------------------------------------------------ for demand modes
    def first_uses(self, contents: np.ndarray) -> None:
        """Account for prefetched blocks among `contents` that are used now for the first time."""
        states, now = self.tiers.states, self.tiers.device.now_s
        used = contents[states.prefetched_step[contents] != NEVER]
        if len(used) == 0:
            return
        waited = now - states.ready_s[used]
        self.counts.use(self.step - states.prefetched_step[used], waited)
        self.tiers.unused_block_s += float(np.maximum(0.0, waited).sum())
        states.prefetched_step[used] = NEVER

    def load(self, missing: np.ndarray) -> float:
        """Demand load of `missing` in one submission; returns when the last block arrives."""
        self.count_misses(missing)
        return self.tiers.load(missing, DEMAND)

    def count_misses(self, missing: np.ndarray) -> None:
        states = self.tiers.states
        lacking = self.tiers.all_layers - states.layers[missing].astype(np.int64)
        self.counts.demand_loads += float(lacking.sum()) / self.tiers.all_layers
        self.counts.early += int(states.wasted[missing].sum())
        states.wasted[missing] = False
        self.misses.append((self.step, missing))

    def ask_policy(self) -> None:
        """Consult the policy, if there is one."""
        if self.policy.name != "none":
            self.counts.decision_calls += 1
            self.consultation.ask(self.step_s)


Demand = Callable[[StepMemory, list[Entry], float], float]
"""Demand mode: waits for the blocks of the entering requests by advancing the clock; returns stall that overlaps
compute (D-layer), by which compute ends later than clock plus compute time."""
