"""Demand only."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class NoPrefetch(PrefetchPolicy):
    """Load only what is missing, when it is missing. The reference for coverage, pollution and stall.

    Level: I0. Cost: none. Source: vLLM's native offload.
    """

    name = "none"
    level = Level.I0
    source = "vLLM's native offload loads at admission"
    spatial = False
    family = "none"

    def propose(self, view: View) -> list[Fetch]:
        return []
