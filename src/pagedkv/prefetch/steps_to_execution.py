"""KVFlow on sessions: who runs next is fetched, who runs last is evicted."""

from __future__ import annotations

from math import ceil

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Planned, View
from pagedkv.prefetch._pauses import PauseHistory
from pagedkv.prefetch._plans import fetches
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class StepsToExecution(PrefetchPolicy):
    """Order queued requests and paused sessions by the estimated steps until they run; fetch first, evict last.

    A queued request runs when the plan says so. A paused session comes back after the mean rest of the pauses that
    lasted longer than its own so far, and then stands behind the queue as it is now; one that outlasts all pauses seen
    comes one step behind the last that is known. The next `load_ahead` are fetched, smallest value first; the largest
    value is evicted first. A workflow graph, which the published system is given, is replaced by what pauses tell.

    `load_ahead`: 2.

    Level: I4. Cost: O(queue + paused sessions) a boundary, O(pauses remembered, at most 1024) when one has ended.
    Source: KVFlow, Pan et al., NeurIPS 2025.
    """

    name = "steps_to_execution"
    level = Level.I4
    source = "Pan et al., NeurIPS 2025 (KVFlow)"
    parameters = {"load_ahead": 2}
    least = {"load_ahead": 0}
    spatial = False
    family = "schedule"
    replans = True
    at_queue_entry = True

    load_ahead: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._history = PauseHistory()
        self._order: list[Planned] = []

    def propose(self, view: View) -> list[Fetch]:
        self._history.update(view)
        self._order = self._by_steps(view)
        return fetches(self._order[: self.load_ahead])

    def hints(self, view: View) -> Hints:
        return Hints(keep=tuple(entry.request for entry in self._order))

    def _by_steps(self, view: View) -> list[Planned]:
        queued = view.plan(None)
        behind = queued[-1].step if queued else view.step
        known, unknown = list(queued), []
        for pause in view.paused:
            rest_s = self._history.remaining_s(view.now_s - pause.since_s)
            if rest_s is None or view.step_s <= 0:
                unknown.append(pause)
            else:
                step = behind + ceil(rest_s / view.step_s)
                known.append(Planned(step, pause.request, view.blocks_of(pause.request), certain=False))
        known.sort(key=lambda entry: entry.step)
        last = known[-1].step + 1 if known else view.step + 1
        return known + [Planned(last, p.request, view.blocks_of(p.request), certain=False) for p in unknown]
