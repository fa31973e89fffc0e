"""What the HiCache policies share: a prefetch starts when a request enters the queue."""

from __future__ import annotations

from pagedkv.engine.view import View
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.prefetch.base import Fetch, PrefetchPolicy

THRESHOLD_SHARE = 0.8
"""Share of the room beside the running batch that prefetches may hold when a further one starts."""
START_PARAMETERS = {"start": "immediate", "least_tokens": 256}


class QueueEntryPolicy(PrefetchPolicy):
    """Fetch what a request misses when it enters the queue, in queue order, once for each time that it enters.

    `start`: `immediate`, or `threshold`: only while the requests whose prefetch has started and that still wait read
    less than 0.8 of what the running batch leaves of the capacity. A request that misses fewer than `least_tokens`
    tokens then, or that finds the threshold reached, gets no prefetch.

    Subclasses differ in `stop`, which the scheduler of the closed loop asks under D-async when it reaches a request
    whose prefetch is under way. In replay, whose schedule is given and which recomputes nothing, they are the same.
    """

    spatial = False
    family = "schedule"
    replans = True
    at_queue_entry = True
    choices = {"start": ("immediate", "threshold")}
    least = {"least_tokens": 0}

    start: str
    least_tokens: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._asked: dict[int, int] = {}
        """Waiting request -> blocks that its prefetch asks for, 0 without one."""

    def propose(self, view: View) -> list[Fetch]:
        before, self._asked = self._asked, {}
        held = sum(before.get(request, 0) for request in view.queue)
        for request in view.queue:
            blocks = before.get(request)
            if blocks is None:
                blocks = self._wanted(view, request, held)
                held += blocks
            self._asked[request] = blocks
        wanted = [(request, blocks) for request, blocks in self._asked.items() if blocks]
        # The due steps give an order, in which no fetch evicts what one before it asked for.
        return [Fetch(request, 0, blocks, view.step + i) for i, (request, blocks) in enumerate(wanted, 1)]

    def _wanted(self, view: View, request: int, held_blocks: int) -> int:
        missing = view.absent_of(request)
        if missing == 0 or missing * BLOCK_TOKENS < self.least_tokens:
            return 0
        room = view.capacity_blocks - sum(count for _, _, count in view.reads)
        if self.start == "threshold" and held_blocks >= THRESHOLD_SHARE * room:
            return 0
        return view.blocks_of(request)
