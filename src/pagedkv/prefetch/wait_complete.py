"""HiCache, wait for completion: a request is not schedulable while its prefetch runs."""

from pagedkv.engine.ladder import Level
from pagedkv.prefetch._queue_entry import START_PARAMETERS, QueueEntryPolicy
from pagedkv.prefetch.registry import register


@register
class WaitComplete(QueueEntryPolicy):
    """Fetch at queue entry; the request is passed over until its prefetch is complete.

    `start`: `immediate`, or `threshold` (while prefetches hold less than 0.8 of the room beside the batch).
    `least_tokens`: 256, missing tokens below which nothing is fetched. In replay the schedule is given: the request
    enters when it did, and what is not there is loaded, as in the other two HiCache policies.

    Level: I4. Cost: O(queue) a boundary. Source: SGLang HiCache (`hiradix_cache.py`, pull request 10512).
    """

    name = "wait_complete"
    level = Level.I4
    source = "SGLang HiCache, wait_complete"
    parameters = START_PARAMETERS

    def stop(self, waited_s: float, tokens: int) -> bool:
        return False
