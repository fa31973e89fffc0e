"""plan(k): the scheduler run forward without side effects."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pagedkv.engine.view import Pause, Planned

BlocksOf = Callable[[int], int]
"""Blocks that a queued request will read, as far as they exist now."""


@dataclass(frozen=True)
class QueueState:
    """What the scheduler knows at a boundary: before `step`, `waiting` requests in queue order, and its rotation.

    `quantum_left`: steps until the running set is rotated out (0: at this boundary it just was), None without
    rotation.
    """

    step: int
    waiting: Sequence[int]
    batch_size: int
    quantum_steps: int | None
    quantum_left: int | None

    @property
    def rotating(self) -> bool:
        return self.quantum_steps is not None and self.quantum_left is not None


def stay_plan(state: QueueState, horizon: int | None, blocks_of: BlocksOf) -> list[Planned]:
    """Entries of the next `horizon` steps (None: no limit) if the running set stays: no end of sequence, no arrival.

    Under rotation the next batches are known to the step: the queue enters `batch_size` requests at a time, a quantum
    apart. Without rotation a queued request enters when a running one makes room, which this plan does not know: only
    the order is certain, and the i-th in the queue is planned for step + i as if one entered a step.
    """
    planned: list[Planned] = []
    for position, request in enumerate(state.waiting):
        if state.rotating:
            step = state.step + state.quantum_left + (position // state.batch_size) * state.quantum_steps
        else:
            step = state.step + 1 + position
        if horizon is not None and step - state.step > horizon:
            break
        planned.append(Planned(step, request, blocks_of(request), certain=state.rotating))
    return planned


@dataclass(frozen=True)
class Room:
    """What queued requests wait for: `seats` in the batch and `blocks` that are free, and the `ends`, (step, blocks),
    at which running requests are predicted to give theirs up. `need(request)`: blocks without which a queued request
    is not admitted."""

    seats: int
    blocks: int
    ends: Iterable[tuple[int, int]]
    need: BlocksOf


def predicted_plan(state: QueueState, horizon: int | None, blocks_of: BlocksOf, room: Room) -> list[Planned]:
    """Entries of the next `horizon` steps (None: no limit) if running requests end as predicted.

    The head of the queue enters as soon as there is a seat and room for it; if there is already, it waits for tokens of
    a step, and enters at the next. This goes on until the running set is rotated out, or no further end is predicted;
    the rest is planned as in `stay_plan`.
    """
    last = None if horizon is None else state.step + horizon
    rotation = state.step + state.quantum_left if state.rotating else None
    planned: list[Planned] = []
    for step, request in zip(_entries(state, room), state.waiting, strict=False):
        if rotation is not None and step >= rotation:
            break
        if last is not None and step > last:
            return planned
        planned.append(Planned(step, request, blocks_of(request)))
    behind = replace(state, waiting=state.waiting[len(planned) :])
    if rotation is None and planned:
        # Of the others only the order is known. It begins where the times end.
        behind = replace(behind, step=planned[-1].step)
        horizon = None if last is None else last - behind.step
    return planned + stay_plan(behind, horizon, blocks_of)


def _entries(state: QueueState, room: Room) -> Iterator[int]:
    """Step at which each of the queue enters, as long as the predicted ends make room."""
    step, seats, blocks, ends = state.step + 1, room.seats, room.blocks, iter(sorted(room.ends))
    for request in state.waiting:
        need = room.need(request)
        while seats < 1 or blocks < need:
            end, freed = next(ends, (None, 0))
            if end is None:
                return
            step, seats, blocks = max(step, end), seats + 1, blocks + freed
        seats, blocks = seats - 1, blocks - need
        yield step


def plan_fields(
    state: QueueState, blocks_of: BlocksOf, room: Callable[[], Room], paused: tuple[Pause, ...]
) -> dict[str, object]:
    """The fields that a view has from I4 on. `room` is asked when a predicted plan is made."""
    return {
        "queue": tuple(state.waiting),
        "quantum_left": state.quantum_left,
        "plan": lambda horizon: stay_plan(state, horizon, blocks_of),
        "predicted_plan": lambda horizon: predicted_plan(state, horizon, blocks_of, room()),
        "paused": paused,
        "blocks_of": blocks_of,
    }


class Lengths:
    """Predicts how many more tokens a request will produce from how many the finished ones produced."""

    def __init__(self) -> None:
        self._finished: list[int] = []

    def finished(self, tokens: int) -> None:
        """A request ended with `tokens` tokens produced."""
        insort(self._finished, tokens)

    def rest(self, produced: int) -> int | None:
        """Median rest of the finished requests that produced more than `produced`; None if none did."""
        first = bisect_right(self._finished, produced)
        longer = len(self._finished) - first
        return self._finished[first + longer // 2] - produced if longer else None
