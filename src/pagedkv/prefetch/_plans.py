"""What policies share that fetch by a plan of the entries to come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Planned, View
from pagedkv.prefetch._noisy_plan import NoisyPlan
from pagedkv.prefetch.base import Fetch, PrefetchPolicy

LEVELS = {
    "stay": Level.I4,
    "len_pred": Level.I4,
    "noisy": Level.I5,
    "true": Level.I5,
    "future": Level.I6,
}
FIELDS = {"stay": "plan", "len_pred": "predicted_plan", "noisy": "true_plan", "true": "true_plan"}
"""Field of a view that holds a plan."""

PLAN_PARAMETERS: dict[str, Any] = {"plan": "stay", "p": 0.1, "seed": 0}
SCHEDULER_PLANS = ("stay", "len_pred", "noisy", "true")
ALL_PLANS = (*SCHEDULER_PLANS, "future")

LOOKBEYOND = 256
"""Steps beyond a horizon that are searched for the next entry; only the wake-up uses them, never a fetch."""
FUTURE_ENTRIES = 256
"""Entries of the whole future that are listed; the link serves far fewer before the next answer."""


class PlanPolicy(PrefetchPolicy):
    """A policy whose hints are a plan, with the parameters `PLAN_PARAMETERS`.

    `plan`: `stay` (the running set stays: no end of sequence, no arrival), `len_pred` (it ends at predicted lengths),
    `true` (true lengths and arrivals), `noisy` (`true` with each member wrong with probability `p`, drawn from
    `seed`), or `future` (the whole trace). The level is that of the plan.
    """

    spatial = False
    family = "schedule"
    replans = True
    choices = {"plan": ALL_PLANS}
    shares = ("p",)
    least = {"seed": 0}

    plan: str
    p: float
    seed: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.level = LEVELS[self.plan]
        if self.level == Level.I6:
            self.family = "oracle"
        self._noise = NoisyPlan(self.p, self.seed)
        self._wake: int | None = None

    def wake_step(self, view: View) -> int | None:
        return self._wake

    def entries(self, view: View, horizon: int | None) -> list[Planned]:
        """Entries of the next `horizon` steps (None: no limit), by step and batch order."""
        if self.plan == "future":
            coming = view.future(FUTURE_ENTRIES)
            return coming if horizon is None else [e for e in coming if e.step - view.step <= horizon]
        coming = getattr(view, FIELDS[self.plan])(horizon)
        return self._noise.corrupt(coming) if self.plan == "noisy" else coming

    def within(self, view: View, steps: int | None) -> list[Planned]:
        """Entries of the next `steps` steps; sets the wake-up to the step at which the next one comes nearer."""
        if steps is None:
            self._wake = None
            return self.entries(view, None)
        # Only where entries have a time can one come into the horizon by itself.
        timed = self.plan != "stay" or view.quantum_left is not None
        upcoming = self.entries(view, steps + LOOKBEYOND if timed else steps)
        inside = [entry for entry in upcoming if entry.step - view.step <= steps]
        # An uncertain entry has an order, not a time: it does not come nearer by itself.
        self._wake = next((entry.step - steps for entry in upcoming[len(inside) :] if entry.certain), None)
        return inside


def fetches(entries: Iterable[Planned], layers: int | None = None) -> list[Fetch]:
    """All blocks of `entries` in their order, each request's protected from the fetches behind it."""
    return [Fetch(entry.request, 0, entry.blocks, entry.step, layers) for entry in entries if entry.blocks]
