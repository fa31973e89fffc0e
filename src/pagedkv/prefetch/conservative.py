"""Conservative: the replacements of MIN, each as early as it can be made."""

from __future__ import annotations

from bisect import insort

from pagedkv.engine.ladder import Level
from pagedkv.engine.min_schedule import MinStay
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

    Level: I6. Cost: O(what MIN keeps and may load) a boundary; MIN's schedule once a replay. Source: Cao, Felten,
    Karlin and Li, SIGMETRICS 1995.
    """

    name = "conservative"
    level = Level.I6
    source = "Cao, Felten, Karlin and Li, SIGMETRICS 1995"
    spatial = False
    family = "oracle"
    replans = True

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._schedule: list[MinStay] | None = None
        self._next = 0
        """The first stay of the schedule that has not begun."""
        self._open: list[tuple[bool, int, int]] = []
        """(loads, step of the use, number) of those that have: what MIN keeps first, so that no load evicts it."""

    def propose(self, view: View) -> list[Fetch]:
        if self._schedule is None:
            self._schedule = view.min_schedule()
        schedule = self._schedule
        while self._next < len(schedule) and schedule[self._next].from_step <= view.step:
            stay = schedule[self._next]
            insort(self._open, (stay.loads, stay.step, self._next))
            self._next += 1
        self._open = [entry for entry in self._open if entry[1] >= view.step]
        stays = (schedule[number] for _, _, number in self._open)
        # Of what MIN keeps no layer is asked for: it is only spared.
        return [Fetch(s.request, s.first, s.count, due_step=s.step, layers=None if s.loads else 0) for s in stays]

    def wake_step(self, view: View) -> int | None:
        schedule = self._schedule
        return schedule[self._next].from_step if self._next < len(schedule) else None
