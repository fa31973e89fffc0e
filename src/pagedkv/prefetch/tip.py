"""TIP: a fetch is made when the room is worth more to it than to whoever has it."""

from __future__ import annotations

from math import ceil, inf

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, PlanPolicy, fetches
from pagedkv.prefetch._urgency import ROUNDING, load_steps, missing_until
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class Tip(PlanPolicy):
    """Fetch a hinted block when what its early arrival saves exceeds what its room is worth elsewhere.

    Both are in seconds of stall for a block of room held for a step; F is the time of one fetch, c that of a step.
    - Benefit of the i-th missing block, used x steps ahead: starting now instead of a step later saves
      min(c, max(0, i F - (x - 1) c)) for all i blocks before it together, so an i-th of that for each. It is 0 past
      i F / c, which takes the place of the published P because one link serves the blocks one after the other.
      Entries of which only the order is known count with probability `sure`.
    - Cost: nothing for a free slot; else the smaller of what unplanned blocks lose, F times the faults a step that one
      more slot would save (by the average slope: faults a step over capacity), and F / (y - 1) for the furthest hinted
      block, y steps ahead, which would have to be fetched again.
    Entries are fetched in order of use, up to the last one that is worth it.

    `sure`: 0.5. `margin`: 1.0, by which F is multiplied where it is the time until a block is there. `plan`: `stay`, or
    `len_pred`, `true`, `noisy` (with `p`: 0.1, `seed`: 0), `future`: where the hints come from.

    Level: that of the plan, I4 to I6. Cost: O(planned requests) a boundary, and the blocks of the urgent ones. Source:
    Patterson et al., SOSP 1995; `sure`: Vellanki and Chervenak, SC 1999.
    """

    name = "tip"
    level = Level.I4
    source = "Patterson, Gibson, Ginting, Stodolsky and Zelenka, SOSP 1995"
    parameters = {"sure": 0.5, "margin": 1.0, **PLAN_PARAMETERS}
    shares = ("p", "sure")
    at_least = {"margin": 0.0}

    sure: float
    margin: float

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._faults = 0
        self._first_step: int | None = None

    def propose(self, view: View) -> list[Fetch]:
        planned, each = self.entries(view, None), self.margin * load_steps(view)
        cost = self._cost(view, planned[-1].step if planned else None)
        missing = missing_until(view, planned, each)
        worth, rising = 0, []
        for position, (entry, count) in enumerate(zip(planned, missing, strict=True), start=1):
            saved = min(1.0, count * each - (entry.step - view.step - 1))
            benefit = saved * (1.0 if entry.certain else self.sure)
            if count == 0 or benefit > (ROUNDING if count <= view.free_blocks else cost * count):
                worth = position
            elif entry.certain and saved < 1.0:
                rising.append((position, max(view.step + 1, entry.step - ceil(count * each - ROUNDING))))
        self._wake = min((step for position, step in rising if position > worth), default=None)
        return fetches(planned[:worth])

    def _cost(self, view: View, furthest: int | None) -> float:
        """What a slot that is not free is worth to its holder, in steps of stall."""
        self._faults += len(view.accesses.faults())
        if self._first_step is None:
            self._first_step = view.step
        steps = max(1, view.step - self._first_step)
        each = load_steps(view)
        unplanned = each * self._faults / steps / view.capacity_blocks
        ahead = furthest - view.step - 1 if furthest is not None else 0
        return min(unplanned, each / ahead if ahead > 0 else inf)
