"""Fixed horizon: nothing earlier than needed for it to arrive in time."""

from __future__ import annotations

from math import ceil

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, PlanPolicy, fetches
from pagedkv.prefetch._urgency import ROUNDING, load_steps
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class FixedHorizon(PlanPolicy):
    """Fetch a hinted block only when its use is within `steps` steps; take room from blocks not needed within them.

    `steps`: None stands for P = the time of one fetch over the time of one step, rounded up, as published. That suits
    many disks, where each block has its own; on one link, a request of many blocks needs a larger number. `plan`:
    `stay`, or `len_pred`, `true`, `noisy` (with `p`: 0.1, `seed`: 0), `future`: where the hints come from.

    Level: that of the plan, I4 to I6. Cost: O(planned requests) a boundary. Source: Patterson et al., SOSP 1995.
    """

    name = "fixed_horizon"
    level = Level.I4
    source = "Patterson, Gibson, Ginting, Stodolsky and Zelenka, SOSP 1995"
    parameters = {"steps": None, **PLAN_PARAMETERS}
    least = {"steps": 1, "seed": 0}
    optional = ("steps",)

    steps: int | None

    def propose(self, view: View) -> list[Fetch]:
        return fetches(self.within(view, self.steps or max(1, ceil(load_steps(view) - ROUNDING))))
