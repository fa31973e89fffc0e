"""What a policy may see: the information ladder, enforced.

A view holds the fields of its level and of the levels below, and no reference to anything else; reading a field of a
higher level raises. Functions among the fields (`plan`, `true_plan`) are closed over the engine, but answer nothing
beyond their level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError

FAULT, LATE, FIRST_USE = 0, 1, 2
"""Kinds of an access at I0/I1: absent; in flight as an own prefetch; first use of an own prefetch."""

FIELD_LEVELS = {
    "now_s": Level.I0,
    "step_s": Level.I0,
    "block_load_s": Level.I0,
    "capacity_blocks": Level.I0,
    "free_blocks": Level.I0,
    "in_flight_blocks": Level.I0,
    "queued_blocks": Level.I0,
    "accesses": Level.I0,
    "arrived": Level.I0,
    "evicted": Level.I0,
    "reads": Level.I2,
    "step": Level.I3,
    "batch": Level.I3,
    "queue": Level.I4,
    "quantum_left": Level.I4,
    "plan": Level.I4,
    "predicted_plan": Level.I4,
    "paused": Level.I4,
    "blocks_of": Level.I4,
    "absent_of": Level.I4,
    "true_plan": Level.I5,
    "returns_s": Level.I5,
    "future": Level.I6,
    "min_schedule": Level.I6,
}


@dataclass(frozen=True)
class Accesses:
    """Accesses in the order in which they were made, as arrays of equal length."""

    stream: np.ndarray
    index: np.ndarray
    kind: np.ndarray

    @staticmethod
    def none() -> Accesses:
        empty = np.zeros(0, np.int64)
        return Accesses(empty, empty, empty)

    def __len__(self) -> int:
        return len(self.stream)

    def faults(self) -> Accesses:
        """Only the absent ones."""
        where = self.kind == FAULT
        return Accesses(self.stream[where], self.index[where], self.kind[where])


@dataclass(frozen=True)
class Arrived:
    """Blocks whose load was seen complete, in that order, as arrays of equal length. `prefetched`: no demand load."""

    stream: np.ndarray
    index: np.ndarray
    prefetched: np.ndarray

    @staticmethod
    def none() -> Arrived:
        return _NO_ARRIVALS

    def __len__(self) -> int:
        return len(self.stream)


@dataclass(frozen=True)
class Evicted:
    """Blocks that left the GPU to make room, in that order, as arrays of equal length.

    `unused`: it had been prefetched and was never used. `by_prefetch`: it made room for a prefetch.
    """

    stream: np.ndarray
    index: np.ndarray
    unused: np.ndarray
    by_prefetch: np.ndarray

    @staticmethod
    def none() -> Evicted:
        return _NO_EVICTIONS

    def __len__(self) -> int:
        return len(self.stream)


_NOTHING, _NO_FLAGS = np.zeros(0, np.int64), np.zeros(0, bool)
_NO_ARRIVALS = Arrived(_NOTHING, _NOTHING, _NO_FLAGS)
_NO_EVICTIONS = Evicted(_NOTHING, _NOTHING, _NO_FLAGS, _NO_FLAGS)


@dataclass(frozen=True)
class Planned:
    """A request that joins the batch at `step` and will read its first `blocks` blocks, as far as they exist now.

    `certain` is False where only the order is known: a queued request joins when the running ones make room.
    """

    step: int
    request: int
    blocks: int
    certain: bool = True


@dataclass(frozen=True)
class Pause:
    """A session whose turn finished at `since_s`, and of which the client said that another turn follows.

    `request` is the handle under which the blocks are addressed that the next turn will find, as far as they are known
    now: `Fetch(request, 0, blocks)`. When the turn arrives it is queued under that number.
    """

    session: int
    request: int
    since_s: float


Plan = Callable[[int | None], list[Planned]]
"""Entries of the next k steps (None: without limit), by step and batch order."""


class View:
    """Read-only fields up to `level`; see `FIELD_LEVELS`.

    - `now_s`, `step_s`, `block_load_s`: engine clock, compute time of the step to come, load time of one block;
      `capacity_blocks`: slots that blocks may take; `free_blocks`, `in_flight_blocks`, `queued_blocks`: room and work
      at the issuer (every level).
    - `accesses`: faults and first uses of own prefetches since the last call (I0 under physical and host addressing,
      I1 under logical). `arrived`, `evicted`: loads seen complete and blocks that left the GPU since then; empty
      unless the policy says `feedback = True`.
    - `reads`: (stream, first, count) of all blocks that the step reads, in batch order (I2). Under logical addressing
      that is (request, 0, blocks), else stream 0 and runs of ascending slots.
    - `step`, `batch`: number of the step to come, requests in it (I3).
    - `queue`, `quantum_left`, `plan`: waiting requests, steps to the next rotation (None without), the scheduler run
      forward (I4). `predicted_plan`: the same if each running request ends at the length that those finished so far
      let expect. `paused`: sessions between two turns, longest first. `blocks_of(request)`: blocks that a queued or
      paused request would read and that exist; `absent_of(request)`: how many of them are neither on the GPU nor on
      their way.
    - `true_plan`: the plan with true lengths and arrivals (I5). `returns_s`: {session: engine time at which its next
      turn arrives} of the paused ones (I5). `future`: the plan for the whole trace,
      `min_schedule()`: what MIN keeps and loads, and when at the earliest (I6).
    """

    __slots__ = ("_fields", "level")

    def __init__(self, level: Level, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "level", level)
        admitted = {name: value for name, value in fields.items() if FIELD_LEVELS[name] <= level}
        object.__setattr__(self, "_fields", admitted)

    def __getattr__(self, name: str) -> Any:
        fields = object.__getattribute__(self, "_fields")
        if name in fields:
            return fields[name]
        if name in FIELD_LEVELS:
            raise PagedKVError(f"a policy of level {self.level} may not read '{name}' ({FIELD_LEVELS[name]})")
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a view is read-only")
