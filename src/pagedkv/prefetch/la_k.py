"""LA-k: read the scheduler's plan instead of predicting it."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, SCHEDULER_PLANS, PlanPolicy, fetches
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class LookAhead(PlanPolicy):
    """Fetch what the plan of the next k steps names, in order of planned use, at the first opportunity.

    Missing planned blocks are ordered by planned step, batch position and block. While the link has time, the first
    one is fetched into free room or in place of a victim whose planned use is later (do no harm: each fetch carries
    its due step, and the issuer spares what is due no later). Blocks of the running step are never victims. The plan
    is made anew at every boundary at which something changed; queued fetches that left it are cancelled.

    `k`: 16, horizon in steps; None for no limit. `plan`: `stay` (the running set stays: no end of sequence, no
    arrival), `len_pred` (running requests end at the length predicted for them), `true` (true lengths and arrivals) or
    `noisy` (`true`, each member wrong with probability `p`: 0.1, drawn from `seed`: 0).

    Level: I4 with `stay` and `len_pred`, I5 with `true` and `noisy`. Cost: O(planned requests) a boundary, plus their
    blocks as arrays. Source: policies.md 6.2; Aggressive of Cao et al., SIGMETRICS 1995, restricted to k steps of
    knowledge.
    """

    name = "la_k"
    level = Level.I4
    source = "this work; Cao, Felten, Karlin and Li, SIGMETRICS 1995"
    parameters = {"k": 16, **PLAN_PARAMETERS}
    least = {"k": 0, "seed": 0}
    optional = ("k",)
    choices = {"plan": SCHEDULER_PLANS}

    k: int | None

    @property
    def label(self) -> str:
        noise = f"({self.p:g})" if self.plan == "noisy" else ""
        return f"LA-{'inf' if self.k is None else self.k} {self.plan}{noise}"

    def propose(self, view: View) -> list[Fetch]:
        return fetches(self.within(view, self.k))
