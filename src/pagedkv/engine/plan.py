"""plan(k): the scheduler run forward without side effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pagedkv.engine.view import Planned


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


def stay_plan(state: QueueState, horizon: int | None, blocks_of: Callable[[int], int]) -> list[Planned]:
    """Entries of the next `horizon` steps (None: no limit) if the running set stays: no end of sequence, no arrival.

    Under rotation the next batches are known to the step: the queue enters `batch_size` requests at a time, a quantum
    apart. Without rotation a queued request enters when a running one makes room, which this plan does not know: only
    the order is certain, and the i-th in the queue is planned for step + i as if one entered a step.
    """
    planned: list[Planned] = []
    rotating = state.quantum_steps is not None and state.quantum_left is not None
    for position, request in enumerate(state.waiting):
        if rotating:
            step = state.step + state.quantum_left + (position // state.batch_size) * state.quantum_steps
        else:
            step = state.step + 1 + position
        if horizon is not None and step - state.step > horizon:
            break
        planned.append(Planned(step, request, blocks_of(request), certain=rotating))
    return planned
