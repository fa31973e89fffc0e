"""Forestall: wait as long as waiting costs nothing."""

from __future__ import annotations

from itertools import dropwhile
from math import ceil

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, PlanPolicy, fetches
from pagedkv.prefetch._urgency import ROUNDING, load_steps, missing_until
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class Forestall(PlanPolicy):
    """Fetch as Aggressive does, but only once the link would otherwise fall behind.

    Let d_i be the compute time until the i-th missing block is used and F the time of one fetch. As long as i F < d_i
    for every i, a later start still brings all of them in time, and no room is taken yet. Once i F >= d_i for some i,
    fetch up to the last such block: while the link works, that inequality stays true for it. As a start is possible at
    boundaries only, it is made at the last one before the inequality comes true.

    `margin`: 1.0, by which F is multiplied, because submissions and stores come on top of a block's own time. `plan`:
    `stay`, or `len_pred`, `true`, `noisy` (with `p`: 0.1, `seed`: 0), `future`: where the hints come from.

    Level: that of the plan, I4 to I6. Cost: O(planned requests) a boundary, and the blocks of those that could make
    the link fall behind. Source: Kimbrel et al., OSDI 1996.
    """

    name = "forestall"
    level = Level.I4
    source = "Kimbrel, Tomkins, Patterson, Bershad, Cao, Felten, Gibson, Karlin and Li, OSDI 1996"
    parameters = {"margin": 1.0, **PLAN_PARAMETERS}
    at_least = {"margin": 0.0}

    margin: float

    def propose(self, view: View) -> list[Fetch]:
        planned, each = self.entries(view, None), self.margin * load_steps(view)
        missing = missing_until(view, planned, each)
        # The first step s for which s + 1 would be too late: i F > (step - s - 1) times the time of a step.
        starts = [e.step - ceil(count * each - ROUNDING) for e, count in zip(planned, missing, strict=True)]
        urgent = sum(1 for _ in dropwhile(lambda start: start > view.step, reversed(starts)))
        waiting = zip(planned[urgent:], starts[urgent:], strict=True)
        self._wake = min((start for entry, start in waiting if entry.certain), default=None)
        return fetches(planned[:urgent])
