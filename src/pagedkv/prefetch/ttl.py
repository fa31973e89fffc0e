"""Time to live: how long a paused session may hold its room."""

from __future__ import annotations

from math import ceil

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._pauses import PauseHistory
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class TimeToLive(PrefetchPolicy):
    """Keep the blocks of a paused session for tau, then let them leave first. Fetches nothing.

    `tau_s`: a number, or None for the tau that maximises P(return within tau) x reload - tau x price of the room, with
    the distribution of the pauses seen. Reload costs a load for each block; the price of a slot for a second is the
    loads that one more slot would save in it, by the average slope: faults a second over capacity. So both sides are
    in loads a block, and tau is the same for all sessions. Before a pause has ended tau is 0.

    Level: I4. Cost: O(paused sessions + pauses remembered, at most 1024) a boundary. Source: Continuum (CacheTTL), Li
    et al., arXiv 2511.02230; reduced to what one link and one kind of pause need.
    """

    name = "ttl"
    level = Level.I4
    source = "Li et al., arXiv 2511.02230 (Continuum)"
    parameters = {"tau_s": None}
    at_least = {"tau_s": 0.0}
    optional = ("tau_s",)
    spatial = False
    family = "schedule"

    tau_s: float | None

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._history = PauseHistory()
        self._faults = 0
        self._first_s: float | None = None
        self._hints = Hints()
        self._wake: int | None = None

    def propose(self, view: View) -> list[Fetch]:
        self._history.update(view)
        tau_s = self._tau_s(view) if self.tau_s is None else self.tau_s
        living = [pause for pause in view.paused if view.now_s < pause.since_s + tau_s]
        expired = tuple(pause.request for pause in view.paused if view.now_s >= pause.since_s + tau_s)
        self._hints = Hints(demote=expired, keep=tuple(pause.request for pause in reversed(living)))
        self._wake = None
        if living and view.step_s > 0:
            left_s = living[0].since_s + tau_s - view.now_s
            self._wake = view.step + max(1, ceil(left_s / view.step_s))
        return []

    def hints(self, view: View) -> Hints:
        return self._hints

    def wake_step(self, view: View) -> int | None:
        return self._wake

    def _tau_s(self, view: View) -> float:
        self._faults += len(view.accesses.faults())
        if self._first_s is None:
            self._first_s = view.now_s
        lengths = self._history.lengths_s
        seen_s = view.now_s - self._first_s
        if not lengths or seen_s <= 0:
            return 0.0
        price = self._faults / seen_s / view.capacity_blocks
        # Between two lengths the chance of a return does not grow, so that the best tau is one of them, or 0.
        taus = np.array(lengths)
        worth = np.arange(1, len(taus) + 1) / len(taus) - price * taus
        best = int(worth.argmax())
        return float(taus[best]) if worth[best] > 0 else 0.0
