"""Aggressive: the link never rests while a fetch does no harm."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, PlanPolicy, fetches
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class Aggressive(PlanPolicy):
    """Whenever the link is idle, fetch the next missing block, unless its victim is used before it.

    The four rules: fetch the block that is needed first; evict the one needed last; never evict A for B if A is used
    before B; act at the first opportunity. The second is the eviction policy's: with `min`, or `plan_aware` for what
    is queued, this is the published policy. Elapsed time is at most min(1 + F/K, 2) times the optimum (F: steps that
    a fetch takes, K: capacity in blocks).

    `plan`: `stay`, or `len_pred`, `true`, `noisy` (with `p`: 0.1, `seed`: 0), `future`: where the hints come from.

    Level: that of the plan, I4 to I6. Cost: O(planned requests) a boundary. Source: Cao, Felten, Karlin and Li,
    SIGMETRICS 1995.
    """

    name = "aggressive"
    level = Level.I4
    source = "Cao, Felten, Karlin and Li, SIGMETRICS 1995"
    parameters = PLAN_PARAMETERS

    def propose(self, view: View) -> list[Fetch]:
        return fetches(self.within(view, None))
