"""Only the layer that layer-wise loading leaves exposed."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import PLAN_PARAMETERS, SCHEDULER_PLANS, PlanPolicy, fetches
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register


@register
class FirstLayer(PlanPolicy):
    """Fetch layer 0 of what the plan of the next k steps names; the step loads the other layers while it computes.

    Layer-wise loading hides each layer but the first behind the compute of the one before. So only pieces of layer 0
    are fetched ahead, in order of planned use; a piece takes the slot of its block. Runs only under D-layer.

    `k`: 16, horizon in steps; None for no limit. `plan`: `stay`, or `len_pred`, `true`, `noisy` (with `p`: 0.1, `seed`:
    0).

    Level: I4 with `stay` and `len_pred`, I5 with `true` and `noisy`. Cost: O(planned requests) a boundary. Source:
    ModelEngine-Group/unified-cache-management pull request 1382.
    """

    name = "first_layer"
    level = Level.I4
    source = "unified-cache-management PR 1382"
    parameters = {"k": 16, **PLAN_PARAMETERS}
    least = {"k": 0, "seed": 0}
    optional = ("k",)
    choices = {"plan": SCHEDULER_PLANS}
    demand = "D-layer"

    k: int | None

    def propose(self, view: View) -> list[Fetch]:
        return fetches(self.within(view, self.k), layers=1)
