"""Prefetch with the whole future."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class Clairvoyant(PrefetchPolicy):
    """Fetch what the rest of the trace reads, in order of use, at the first opportunity and without harm.

    With `min` eviction this is Aggressive on the true request sequence: always fetch the next missing block, in place
    of the block used furthest in the future, unless that one is used earlier. `entries` bounds how many coming
    entries of the batch one answer lists; the link serves far fewer before the next answer.

    Level: I6. Cost: O(entries) a boundary. Source: Cao, Felten, Karlin and Li, SIGMETRICS 1995.
    """

    name = "clairvoyant"
    level = Level.I6
    source = "Cao, Felten, Karlin and Li, SIGMETRICS 1995 (Aggressive)"
    parameters = {"entries": 16}
    least = {"entries": 1}
    spatial = False
    family = "oracle"
    replans = True

    entries: int

    def propose(self, view: View) -> list[Fetch]:
        coming = view.future(self.entries)
        return [Fetch(entry.request, 0, entry.blocks, due_step=entry.step) for entry in coming if entry.blocks]
