"""HiCache, timeout: a request waits for its prefetch, but not for ever."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.prefetch._queue_entry import START_PARAMETERS, QueueEntryPolicy
from pagedkv.prefetch.registry import register


@register
class Timeout(QueueEntryPolicy):
    """Fetch at queue entry; the request is passed over until its prefetch is complete or has taken too long.

    Too long is more than min(`max_s`, `base_s` + `per_ki_s` x tokens / 1024), tokens counting the cached prefix; then
    it takes what has arrived, and the rest is recomputed. `base_s`: 2.0, `per_ki_s`: 0.1, `max_s`: 30 (None: no cap),
    SGLang's defaults since April 2026; before, 1.0, 0.25 and no cap. `start`: `immediate`, or `threshold` (while
    prefetches hold less than 0.8 of the room beside the batch). `least_tokens`: 256, missing tokens below which nothing
    is fetched. In replay the schedule is given, and what is not there is loaded, as in the other two HiCache policies.

    Level: I4. Cost: O(queue) a boundary. Source: SGLang HiCache (`hiradix_cache.py`, pull requests 10512 and 23309).
    """

    name = "timeout"
    level = Level.I4
    source = "SGLang HiCache, timeout"
    parameters = {"base_s": 2.0, "per_ki_s": 0.1, "max_s": 30.0, **START_PARAMETERS}
    at_least = {"base_s": 0.0, "per_ki_s": 0.0, "max_s": 0.0}
    optional = ("max_s",)

    base_s: float
    per_ki_s: float
    max_s: float | None

    def stop(self, waited_s: float, tokens: int) -> bool:
        limit_s = self.base_s + self.per_ki_s * tokens / 1024
        return waited_s > (limit_s if self.max_s is None else min(self.max_s, limit_s))
