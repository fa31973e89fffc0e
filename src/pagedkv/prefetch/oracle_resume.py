"""Fetch so that a session is back just before it returns."""

from __future__ import annotations

from math import inf

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Pause, View
from pagedkv.prefetch._resume import ResumePolicy
from pagedkv.prefetch.registry import register


@register
class OracleResume(ResumePolicy):
    """Demote a session at its pause; fetch it back as late as it can be for its true return.

    Sessions are served in order of their return. Each starts in time for its own load to end at its return, and for
    those behind it to start in theirs. So no room is held longer than needed, and nothing is late that could be in
    time.

    Level: I5. Cost: O(paused sessions x log) a boundary. Source: the oracle of the timings compared in vLLM issue
    57103.
    """

    name = "oracle_resume"
    level = Level.I5
    family = "oracle"
    source = "vLLM issue 57103"

    def due(self, view: View) -> list[Pause]:
        coming = sorted(view.paused, key=lambda pause: view.returns_s[pause.session])
        starts_s, latest_s = [], inf
        for pause in reversed(coming):
            load_s = view.absent_of(pause.request) * view.block_load_s
            latest_s = min(latest_s, view.returns_s[pause.session]) - load_s
            starts_s.append(latest_s)
        starts = zip(coming, reversed(starts_s), strict=True)
        return [pause for pause, start_s in starts if self.reached(view, pause, start_s)]
