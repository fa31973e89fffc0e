"""How long sessions pause between two turns, learned from the pauses that have ended."""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import accumulate

from pagedkv.engine.view import Pause, View

MOST_LENGTHS = 1024
"""Ended pauses that are remembered; the oldest is forgotten."""


class PauseHistory:
    """Follows `view.paused`. A pause has ended when it is no longer listed; its length is known to a boundary."""

    def __init__(self, smoothing: float = 0.5) -> None:
        self.lengths_s: list[float] = []
        """Of the ended pauses, ascending."""
        self._ended: list[float] = []
        self._sums_s: list[float] | None = None
        """Sums of the first 0, 1, ... lengths; None after a change."""
        self._smoothing = smoothing
        self._smoothed: dict[int, float] = {}
        self._overall: float | None = None
        self._open: dict[int, Pause] = {}

    def update(self, view: View) -> None:
        """Take in which sessions are paused now."""
        paused = {pause.session: pause for pause in view.paused}
        for session, pause in self._open.items():
            now = paused.get(session)
            if now is None or now.since_s != pause.since_s:
                self._end(session, view.now_s - pause.since_s)
        self._open = paused

    def _end(self, session: int, length_s: float) -> None:
        self._sums_s = None
        insort(self.lengths_s, length_s)
        self._ended.append(length_s)
        if len(self._ended) > MOST_LENGTHS:
            self.lengths_s.remove(self._ended.pop(0))
        self._smoothed[session] = self._mix(self._smoothed.get(session), length_s)
        self._overall = self._mix(self._overall, length_s)

    def _mix(self, before: float | None, length_s: float) -> float:
        return length_s if before is None else before + self._smoothing * (length_s - before)

    def expected_s(self, session: int) -> float | None:
        """Exponentially weighted mean of the session's pauses; of all pauses if it had none; None before any."""
        return self._smoothed.get(session, self._overall)

    def remaining_s(self, elapsed_s: float) -> float | None:
        """Mean rest of the pauses that lasted longer than `elapsed_s`; None if none did."""
        shorter = bisect_right(self.lengths_s, elapsed_s)
        longer = len(self.lengths_s) - shorter
        if longer == 0:
            return None
        if self._sums_s is None:
            self._sums_s = list(accumulate(self.lengths_s, initial=0.0))
        return (self._sums_s[-1] - self._sums_s[shorter]) / longer - elapsed_s
