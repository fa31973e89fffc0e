"""LA-k: read the scheduler's plan instead of predicting it."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Planned, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy, check_whole
from pagedkv.prefetch.registry import register

PLANS = {"stay": Level.I4, "true": Level.I5}
LOOKBEYOND = 256
"""Steps beyond the horizon that are searched for the next entry; only the wake-up uses them, never a fetch."""


@register
class LookAhead(PrefetchPolicy):
    """Fetch what the plan of the next k steps names, in order of planned use, at the first opportunity.

    Missing planned blocks are ordered by planned step, batch position and block. While the link has time, the first
    one is fetched into free room or in place of a victim whose planned use is later (do no harm: each fetch carries
    its due step, and the issuer spares what is due no later). Blocks of the running step are never victims. The plan
    is made anew at every boundary at which something changed; queued fetches that left it are cancelled.

    `k`: horizon in steps, None for no limit. `plan`: `stay` (the running set stays: no end of sequence, no arrival)
    or `true` (true lengths and arrivals).

    Level: I4 with `stay`, I5 with `true`. Cost: O(planned requests) a boundary, plus their blocks as arrays. Source:
    policies.md 6.2; Aggressive of Cao et al., SIGMETRICS 1995, restricted to k steps of knowledge.
    """

    name = "la_k"
    level = Level.I4
    source = "this work; Cao, Felten, Karlin and Li, SIGMETRICS 1995"
    parameters = {"k": 16, "plan": "stay"}
    spatial = False
    family = "schedule"
    replans = True

    k: int | None
    plan: str

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.plan not in PLANS:
            raise PagedKVError(f"la_k: plan is one of {', '.join(PLANS)}, not '{self.plan}'")
        if self.k is not None:
            check_whole(self.name, "k", self.k, 0)
        self.level = PLANS[self.plan]
        self._wake: int | None = None

    @property
    def label(self) -> str:
        return f"LA-{'inf' if self.k is None else self.k} {self.plan}"

    def propose(self, view: View) -> list[Fetch]:
        upcoming = self._plan_of(view)
        inside = upcoming if self.k is None else [e for e in upcoming if e.step - view.step <= self.k]
        # An uncertain entry has an order, not a time: it does not come nearer by itself.
        self._wake = next((entry.step - self.k for entry in upcoming[len(inside) :] if entry.certain), None)
        return [Fetch(entry.request, 0, entry.blocks, due_step=entry.step) for entry in inside if entry.blocks]

    def wake_step(self, view: View) -> int | None:
        return self._wake

    def _plan_of(self, view: View) -> list[Planned]:
        plan = view.plan if self.plan == "stay" else view.true_plan
        if self.k is None:
            return plan(None)
        # Only where entries have a time can one come into the horizon by itself.
        timed = self.plan == "true" or view.quantum_left is not None
        return plan(self.k + LOOKBEYOND if timed else self.k)
