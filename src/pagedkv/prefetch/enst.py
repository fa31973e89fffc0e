"""ENST: swap by the estimated next schedule time."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Planned, View
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class EstimatedNextSchedule(PrefetchPolicy):
    """Swap in the waiting jobs that are expected to run soonest, swap out the others, and hold a reserve of room back.

    A waiting job's next schedule time is estimated: where jobs rotate, from the quantum and its queue position; else
    from the lengths predicted for the running ones. In that order blocks are fetched as long as, beside what the
    running batch reads, a share `reserve` of the capacity stays for those that arrive. What waits leaves after what
    does not, and of what waits the largest estimate first.

    `reserve`: 0.1. Stores here are written through, so that a swap-out costs nothing: the reserve bounds pollution.

    Level: I4. Cost: O(queue) a boundary. Source: FastServe, Wu et al., NSDI 2026 (arXiv 2305.05920); there the queue
    has several levels, here the scheduler has one queue and a quantum.
    """

    name = "enst"
    level = Level.I4
    source = "Wu et al., NSDI 2026 (FastServe, arXiv 2305.05920)"
    parameters = {"reserve": 0.1}
    shares = ("reserve",)
    spatial = False
    family = "schedule"
    replans = True
    at_queue_entry = True

    reserve: float

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._waiting: list[Planned] = []

    def propose(self, view: View) -> list[Fetch]:
        self._waiting = view.predicted_plan(None)
        room = view.capacity_blocks * (1 - self.reserve) - sum(count for _, _, count in view.reads)
        asked = []
        for job in self._waiting:
            count = min(job.blocks, max(0, int(room)))
            room -= job.blocks
            if count:
                asked.append(Fetch(job.request, 0, count, job.step))
        return asked

    def hints(self, view: View) -> Hints:
        return Hints(keep=tuple(job.request for job in self._waiting))
