"""Queue lookahead: the next jobs of the queue are brought up a tier."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._plans import fetches
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class QueueLookahead(PrefetchPolicy):
    """Fetch what the first w jobs of the queue will read, in queue order; keep what the whole queue will read.

    Prefetch window: `w` jobs; None stands for the capacity of the GPU over the mean size of what a queued job reads, as
    published. Eviction window: the capacity of both tiers over that size, which with a host tier of ample size is
    the whole queue. What lies outside of it leaves first, then the job whose queue position is last.

    Level: I4. Cost: O(queue) a boundary. Source: CachedAttention (AttentionStore), Gao et al., USENIX ATC 2024.
    """

    name = "queue_la"
    level = Level.I4
    source = "Gao et al., USENIX ATC 2024 (CachedAttention)"
    parameters = {"w": None}
    least = {"w": 1}
    optional = ("w",)
    spatial = False
    family = "schedule"
    replans = True
    at_queue_entry = True

    w: int | None

    def propose(self, view: View) -> list[Fetch]:
        jobs = view.plan(None)
        if self.w is not None:
            return fetches(jobs[: self.w])
        blocks = sum(job.blocks for job in jobs)
        return fetches(jobs[: max(1, len(jobs) * view.capacity_blocks // blocks)] if blocks else jobs)

    def hints(self, view: View) -> Hints:
        return Hints(keep=tuple(view.queue))
