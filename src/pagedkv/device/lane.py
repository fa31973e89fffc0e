"""Where work queues up: a CUDA stream with timed marks; on a CPU nothing queues, and work is over when it is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch

from pagedkv.device.timeline import HostMark


class Lane(Protocol):
    """Work is done in the order in which it is given. Marks have what is used of a CUDA event."""

    def active(self) -> AbstractContextManager:
        """Within it, torch's work goes into this lane."""

    def after(self, mark: Any) -> None:
        """What is given from now on waits until `mark`, of whatever lane or stream, has passed."""

    def mark(self) -> Any:
        """A timed mark behind everything given so far: `query`, `synchronize`, `elapsed_time`."""

    def recycle(self, mark: Any) -> None:
        """Nobody will ask `mark` any more."""

    def give(self, work: Callable[[int], int]) -> int:
        """Do `work(stream handle)`, which enqueues; returns what it returns."""


class CudaLane:
    """A stream, by default one of its own, which no other waits for, nor it for them, unless told.

    Marks are used again, and the stream is kept: to make one, or to ask torch for the current stream, takes the host
    longer than to record a mark.
    """

    def __init__(self, device: torch.device, stream: torch.cuda.Stream | None = None) -> None:
        self.stream = stream or torch.cuda.Stream(device)
        self._handle = self.stream.cuda_stream
        self._marks: list[torch.cuda.Event] = []

    def active(self) -> AbstractContextManager:
        return torch.cuda.stream(self.stream)

    def after(self, mark: torch.cuda.Event) -> None:
        self.stream.wait_event(mark)

    def mark(self) -> torch.cuda.Event:
        mark = self._marks.pop() if self._marks else torch.cuda.Event(enable_timing=True)
        mark.record(self.stream)
        return mark

    def recycle(self, mark: torch.cuda.Event) -> None:
        self._marks.append(mark)

    def give(self, work: Callable[[int], int]) -> int:
        return work(self._handle)


class PassedMark(HostMark):
    """A moment of the host's clock, for a device on which everything has happened."""

    def query(self) -> bool:
        return True


class HostLane:
    """The lane of a CPU."""

    def active(self) -> AbstractContextManager:
        return nullcontext()

    def after(self, mark: Any) -> None:
        """Has passed."""

    def mark(self) -> PassedMark:
        return PassedMark()

    def recycle(self, mark: Any) -> None:
        """Costs nothing to make."""

    def give(self, work: Callable[[int], int]) -> int:
        return work(0)
