"""Marks on the compute stream, and the time between them.

On a CPU, where work is over when a call returns, they are moments of the host's clock.
"""

from __future__ import annotations

import time
from typing import Any

import torch


class HostMark:
    """A moment of the host's clock, with what is used of a CUDA event."""

    def __init__(self) -> None:
        self.at_s = time.perf_counter()

    def synchronize(self) -> None:
        """It has passed."""

    def elapsed_time(self, later: HostMark) -> float:
        """Milliseconds from here to `later`, as CUDA events count."""
        return (later.at_s - self.at_s) * 1e3


class Timeline:
    """Marks of the current stream of `where`."""

    def __init__(self, where: torch.device | str) -> None:
        self._cuda = torch.device(where).type == "cuda"

    @property
    def origin(self) -> str:
        """What a trace is called that is timed by this: cuda, or cpu, whose times mean nothing."""
        return "cuda" if self._cuda else "cpu"

    def mark(self) -> Any:
        """A mark behind everything enqueued so far: has `synchronize()`."""
        if not self._cuda:
            return HostMark()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def fence(self, event: Any) -> None:
        """What is enqueued from now on waits for `event`, of whatever stream."""
        if self._cuda:
            torch.cuda.current_stream().wait_event(event)

    @staticmethod
    def between(begin: Any, end: Any) -> float:
        """Seconds from `begin` to `end`, both of which have passed; negative if they came the other way round."""
        return begin.elapsed_time(end) * 1e-3
