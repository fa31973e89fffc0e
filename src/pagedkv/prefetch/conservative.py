"""Conservative: the replacements of MIN, each as early as it can be made."""

from __future__ import annotations

from bisect import insort

from pagedkv.engine.ladder import Level
from pagedkv.engine.min_schedule import MinLoad
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class Conservative(PrefetchPolicy):
    """Make exactly the replacements of MIN, each at the earliest moment its victim is dead until its next use.

    So it loads as few blocks as possible; elapsed time is at most twice the optimum. The times of the fetches are
    those of MIN's schedule for the capacity; that the victims are MIN's takes `min` as the eviction policy, which
    evicts the block that is used furthest in the future. Under another one the fetches are the same, and blocks that
    MIN would have kept have to be loaded on demand.

    Level: I6. Cost: O(loads that are due) a boundary; MIN's schedule once a replay. Source: Cao, Felten, Karlin and Li,
    SIGMETRICS 1995.
    """

    name = "conservative"
    level = Level.I6
    source = "Cao, Felten, Karlin and Li, SIGMETRICS 1995"
    spatial = False
    family = "oracle"
    replans = True

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._schedule: list[MinLoad] | None = None
        self._next = 0
        """The first load of the schedule that has not been released."""
        self._open: list[tuple[int, int]] = []
        """(step of its use, number) of the released loads, by use."""

    def propose(self, view: View) -> list[Fetch]:
        if self._schedule is None:
            self._schedule = view.min_schedule()
        schedule = self._schedule
        while self._next < len(schedule) and schedule[self._next].release_step <= view.step:
            insort(self._open, (schedule[self._next].step, self._next))
            self._next += 1
        self._open = [(step, number) for step, number in self._open if step >= view.step]
        loads = (schedule[number] for _, number in self._open)
        return [Fetch(load.request, load.first, load.count, due_step=load.step) for load in loads]

    def wake_step(self, view: View) -> int | None:
        schedule = self._schedule
        return schedule[self._next].release_step if self._next < len(schedule) else None
