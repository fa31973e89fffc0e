"""Layer-wise loading, without any prefetch before the step."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class LayerWise(PrefetchPolicy):
    """Load what is missing when it is missing, layer by layer: the load of layer l+1 overlaps the compute of layer l.

    The overlap is the demand mode's, D-layer, under which alone the policy runs; it proposes nothing.

    Level: I0. Cost: none. Source: the layer-wise preload of CachedAttention and HiCache.
    """

    name = "layer_wise"
    level = Level.I0
    source = "Gao et al., USENIX ATC 2024 (layer-wise pre-loading); SGLang HiCache"
    spatial = False
    family = "none"
    demand = "D-layer"

    def propose(self, view: View) -> list[Fetch]:
        return []
