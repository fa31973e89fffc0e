"""HiCache, best effort: what has arrived when the request is reached."""

from pagedkv.engine.ladder import Level
from pagedkv.prefetch._queue_entry import START_PARAMETERS, QueueEntryPolicy
from pagedkv.prefetch.registry import register


@register
class BestEffort(QueueEntryPolicy):
    """Fetch at queue entry; the request that is reached takes what has arrived, and the rest is recomputed.

    `start`: `immediate`, or `threshold` (while prefetches hold less than 0.8 of the room beside the batch).
    `least_tokens`: 256, missing tokens below which nothing is fetched. In replay nothing is recomputed: what is not
    there is loaded, as in the other two HiCache policies.

    Level: I4. Cost: O(queue) a boundary. Source: SGLang HiCache (`hiradix_cache.py`, issue 8692).
    """

    name = "best_effort"
    level = Level.I4
    source = "SGLang HiCache, best_effort"
    parameters = START_PARAMETERS

    def stop(self, waited_s: float, tokens: int) -> bool:
        return True
