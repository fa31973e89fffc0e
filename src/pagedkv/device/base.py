"""What the engine asks of a device: time, and the movement of bytes.

The engine always plans with *predicted* times: `advance_to` moves a clock that a calibrated model drives. A simulated
device leaves it at that. A real one does the work as well, and at every boundary replaces predictions by what it
observed (`observe`, `finish_step`), so that engine, scheduler, issuer and policies are the same objects on both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pagedkv.device.link import Link
from pagedkv.geometry import BLOCK_TOKENS, Geometry

if TYPE_CHECKING:
    from pagedkv.engine.blocks import BlockStates
    from pagedkv.engine.transfers import Job


class Scheduled(Protocol):
    """A request as a step computes it: a live request of the closed loop, or one of a pinned schedule."""

    number: int

    @property
    def contents(self) -> np.ndarray:
        """Contents of its block table."""


class Step(Protocol):
    """What one step computes, in batch order. Only `computed` may change while a batch goes on, each of whose requests
    gets its next token: the other columns are then best the very ones of the step before."""

    requests: Sequence[Scheduled]
    ranks: np.ndarray
    """Changes whenever the request joins the batch anew: the slots of its table may be others then."""
    computed: np.ndarray
    """Tokens computed before the step."""
    tokens: np.ndarray
    """Tokens of the step."""
    produces: np.ndarray
    """Whether the step reaches the end of what is known of the request, and produces a token."""

    @property
    def beginning(self) -> Sequence[int]:
        """Rows of requests whose next token is the first one of a block."""

    @property
    def work(self) -> tuple[int, int, float]:
        """(tokens, context tokens, query-key pairs of prefill chunks), as `Device.compute_s` takes them."""


@dataclass(frozen=True)
class PlainStep:
    """A `Step` of given columns."""

    requests: Sequence[Scheduled]
    ranks: np.ndarray
    computed: np.ndarray
    tokens: np.ndarray
    produces: np.ndarray

    @property
    def beginning(self) -> Sequence[int]:
        return (self.computed % BLOCK_TOKENS == 0).nonzero()[0].tolist()

    @property
    def work(self) -> tuple[int, int, float]:
        pairs = np.where(self.tokens > 1, self.tokens * (self.computed + (self.tokens + 1) / 2), 0.0)
        return int(self.tokens.sum()), int((self.computed + self.tokens).sum()), float(pairs.sum())


class Device:
    """Contract of a device, with the answers of one that only predicts.

    `now_s` is frozen between two calls that move it: whatever is decided at a boundary sees one time.
    """

    origin: str
    geometry: Geometry
    now_s: float
    h2d: Link
    d2h: Link
    block_load_s: float

    def compute_s(self, tokens: int, context_tokens: float, attention_pairs: float = 0.0) -> float:
        """Predicted time of a step, host work included."""
        raise NotImplementedError

    def waited_s(self, step: Step, stall_s: float, compute_s: float) -> float:
        """Predicted time of `step`, of `compute_s` by itself, that waits for its loads for `stall_s` first."""
        return compute_s

    def advance_to(self, time_s: float) -> None:
        """Predict that `time_s` is reached; never backwards."""
        self.now_s = max(self.now_s, time_s)

    def attach(self, states: BlockStates, slots: int) -> None:
        """The engine's block states, which say in which of its `slots` a content lies. Called once, before anything
        else. Raises PagedKVError when the device has fewer slots."""

    # ------------------------------------------------------------ transfers
    def move(self, job: Job, quantum: int | None) -> None:
        """Start the bytes of `job`, in submissions of at most `quantum` blocks. The links have charged its time."""

    def need(self, contents: np.ndarray) -> None:
        """The step to be launched reads `contents`, which are on their way: it must not start before they are there."""

    def observe(self, loads: deque[Job], stores: deque[Job]) -> Iterable[Job]:
        """Set `ready_s` of jobs in flight, in place, to what is known at `now_s`; returns the jobs that it changed."""
        return ()

    def wait_for(self, job: Job) -> None:
        """Let time pass until the first block of `job` has arrived."""
        self.advance_to(float(job.ready_s[0]))

    def vacated(self, slots: np.ndarray) -> None:
        """GPU `slots` hold nothing of value any more."""

    def discarded(self, contents: np.ndarray) -> None:
        """The host copies of `contents` are out of date or no longer wanted."""

    # ------------------------------------------------------------ steps
    def launch(self, step: Step) -> None:
        """Start to compute `step`."""

    def finish_step(self, start_s: float, stall_s: float, compute_s: float) -> tuple[float, float]:
        """Wait for the end of the step that began at boundary `start_s`, and make it the time of the clock.

        `stall_s` and `compute_s` are predictions; returns what they were.
        """
        return stall_s, compute_s

    def idle_until(self, time_s: float) -> None:
        """Nothing to compute until `time_s`. A real device may skip the wait once nothing is in flight."""
        self.advance_to(time_s)

    def leave(self, number: int) -> None:
        """Request `number` has finished."""
