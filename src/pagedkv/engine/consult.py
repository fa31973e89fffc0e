"""The prefetch policy as the engine consults it: what it is shown, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pagedkv.engine.address import LOGICAL, AddressSpace
from pagedkv.engine.blocks import NEVER
from pagedkv.engine.issuer import Issuer
from pagedkv.engine.ladder import Level
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.view import FAULT, FIRST_USE, LATE, Accesses, Arrived, Evicted, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Hints, PrefetchPolicy

ALL_BLOCKS = 1 << 40

Schedule = Callable[[], dict[str, Any]]
"""Gives the fields of a view that come from the schedule, up to `Consultation.level` at least."""


class Consultation:
    """Asks one policy, of which `none` is never asked, and queues what it proposes.

    `schedule` may be set later, by the loop that has one.
    """

    def __init__(
        self, policy: PrefetchPolicy, tiers: Tiers, issuer: Issuer, space: AddressSpace, schedule: Schedule
    ) -> None:
        self._hints = type(policy).hints is not PrefetchPolicy.hints
        if self._hints and policy.spatial:
            raise PagedKVError(f"{policy.name} gives hints, which name requests, but works on addresses (spatial)")
        self.level = policy.level if space.name == LOGICAL else min(policy.level, Level.I2)
        """Under slots there are no requests to tell of, which is all that the levels above I2 add."""
        self.policy = policy
        self.tiers = tiers
        self.issuer = issuer
        self.space = space
        self.schedule = schedule
        self.wake_step: int | None = None
        """Step at which the policy wants to be asked although nothing happened."""
        self._seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def observe(self, request: int, blocks: np.ndarray, contents: np.ndarray) -> None:
        """A request accesses `blocks` (indices), in which `contents` lie: to be shown where they fault, or use an own
        prefetch."""
        if self.policy.name == "none":
            return
        states = self.tiers.states
        absent = states.layers[contents] < self.tiers.all_layers
        own = states.prefetched_step[contents] != NEVER
        notable = absent | own
        if not notable.any():
            return
        blocks, contents, absent = blocks[notable], contents[notable], absent[notable]
        late = states.ready_s[contents] > self.tiers.device.now_s
        kind = np.where(absent, FAULT, np.where(late, LATE, FIRST_USE))
        self._seen.append((*self.space.encode(request, blocks, contents), kind))

    def ask(self, step_s: float) -> None:
        """Hand the policy its view and queue its proposals. `step_s`: compute time of the step to come."""
        view = self._view(step_s)
        fetches = self.policy.propose(view)
        self.wake_step = self.policy.wake_step(view)
        if self._hints:
            self._advise(self.policy.hints(view))
        if fetches or self.policy.replans:
            self.issuer.accept(fetches, self.policy.replans)

    def _view(self, step_s: float) -> View:
        device, tiers = self.tiers.device, self.tiers
        accesses = Accesses.none()
        if self._seen:
            accesses = Accesses(*(np.concatenate(column) for column in zip(*self._seen, strict=True)))
            self._seen.clear()
        arrived, evicted = tiers.feedback.take() if tiers.feedback is not None else (Arrived.none(), Evicted.none())
        return View(
            self.level,
            {
                "now_s": device.now_s,
                "step_s": step_s,
                "block_load_s": device.block_load_s,
                "capacity_blocks": tiers.pool.usable,
                "free_blocks": tiers.pool.free_count,
                "in_flight_blocks": tiers.loading_blocks,
                "queued_blocks": self.issuer.queued_blocks,
                "accesses": accesses,
                "arrived": arrived,
                "evicted": evicted,
                "absent_of": self._absent_of,
                **self.schedule(),
            },
        )

    def _advise(self, hints: Hints | None) -> None:
        if hints is not None:
            self.tiers.pool.advice.replace(*([self._table(r) for r in named] for named in (hints.demote, hints.keep)))

    def _table(self, request: int) -> np.ndarray:
        """Contents of a request's blocks as far as they exist."""
        return self.space.decode(request, 0, ALL_BLOCKS)

    def _absent_of(self, request: int) -> int:
        contents = self._table(request)
        return int((self.tiers.states.layers[contents] < self.tiers.all_layers).sum())
