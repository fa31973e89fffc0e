"""Fetch a lead before the return that past pauses let expect."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Pause, View
from pagedkv.prefetch._pauses import PauseHistory
from pagedkv.prefetch._resume import ResumePolicy
from pagedkv.prefetch.registry import register


@register
class EwmaLead(ResumePolicy):
    """Demote a session at its pause; fetch it back a lead before its pause has lasted as long as it is expected to.

    Expected is the exponentially weighted mean of the session's pauses, with weight `alpha` for the newest; of all
    pauses, if the session had none; before any pause has ended, nothing is expected. `alpha`: 0.5. `lead_s`: None
    stands for the time that the load of the missing blocks takes; a number is a fixed lead in seconds.

    Level: I4. Cost: O(queue + paused sessions) a boundary. Source: the estimated timing compared in vLLM issue 57103.
    """

    name = "ewma_lead"
    level = Level.I4
    source = "vLLM issue 57103"
    parameters = {"alpha": 0.5, "lead_s": None}
    shares = ("alpha",)
    at_least = {"lead_s": 0.0}
    optional = ("lead_s",)

    alpha: float
    lead_s: float | None

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._history = PauseHistory(self.alpha)

    def due(self, view: View) -> list[Pause]:
        self._history.update(view)
        expected = []
        for pause in view.paused:
            length_s = self._history.expected_s(pause.session)
            if length_s is not None:
                expected.append((pause.since_s + length_s, pause))
        expected.sort(key=lambda pair: pair[0])
        starts = ((pause, return_s - self._lead_s(view, pause)) for return_s, pause in expected)
        return [pause for pause, start_s in starts if self.reached(view, pause, start_s)]

    def _lead_s(self, view: View, pause: Pause) -> float:
        return view.absent_of(pause.request) * view.block_load_s if self.lead_s is None else self.lead_s
