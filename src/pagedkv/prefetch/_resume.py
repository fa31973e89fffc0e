"""What policies share that let a paused session go and bring it back before its next turn."""

from __future__ import annotations

from abc import abstractmethod
from math import floor, isinf

from pagedkv.engine.view import Pause, View
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy


class ResumePolicy(PrefetchPolicy):
    """At its pause a session is demoted: its blocks leave first. Once `due`, they are fetched and leave last.

    A session whose turn has come and waits in the queue is due in any case, and before all paused ones. So policies
    differ in nothing but the time at which they bring a session back.
    """

    spatial = False
    family = "schedule"
    replans = True
    at_queue_entry = True

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._returning: set[int] = set()
        """Handles of sessions that are paused, or have not run since."""
        self._started: set[int] = set()
        """Handles of paused sessions whose time was reached: as their blocks arrive, it must not move away again."""
        self._hints = Hints()
        self._wake: int | None = None

    @abstractmethod
    def due(self, view: View) -> list[Pause]:
        """Paused sessions that should be on the GPU from now on, the most urgent first."""

    def propose(self, view: View) -> list[Fetch]:
        paused = {pause.request for pause in view.paused}
        self._returning = paused | self._returning.intersection(view.queue)
        self._started &= paused
        self._wake = None
        waiting = [request for request in view.queue if request in self._returning]
        back = waiting + [pause.request for pause in self.due(view)]
        away = paused.difference(back)
        # Whoever paused last leaves first.
        demoted = tuple(pause.request for pause in reversed(view.paused) if pause.request in away)
        self._hints = Hints(demote=demoted, keep=tuple(back))
        asked = [(request, view.blocks_of(request)) for request in back]
        # The due steps give an order, in which no fetch evicts what one before it asked for.
        return [Fetch(request, 0, blocks, view.step + i) for i, (request, blocks) in enumerate(asked, 1) if blocks]

    def hints(self, view: View) -> Hints:
        return self._hints

    def wake_step(self, view: View) -> int | None:
        return self._wake

    def reached(self, view: View, pause: Pause, start_s: float) -> bool:
        """Whether `start_s` comes before the next boundary, or came. If not, the policy is asked again at the last
        boundary before it.

        With an empty batch the engine idles until something arrives, and the policy is not asked meanwhile: what would
        be due by then starts now, as room and link are free. Never, if the session does not return in what is known.
        """
        if isinf(start_s):
            return False
        steps = (start_s - view.now_s) / view.step_s if view.step_s > 0 else 0.0
        if steps < 1 or not view.batch or pause.request in self._started:
            self._started.add(pause.request)
            return True
        wake = view.step + floor(steps)
        self._wake = wake if self._wake is None else min(self._wake, wake)
        return False
