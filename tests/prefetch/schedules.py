"""Views with hand-written plans, queues and pauses. A step and the load of a block take 1 s unless a test says so."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, Accesses, Pause, Planned, View


def faults(count: int) -> Accesses:
    """`count` faults of which only the number matters."""
    return Accesses(np.zeros(count, np.int64), np.arange(count), np.full(count, FAULT))


def by(request: int, *, step: int, blocks: int, certain: bool = True) -> Planned:
    """`request` joins at `step` and reads `blocks` blocks."""
    return Planned(step, request, blocks, certain)


def view(
    step: int = 0,
    *,
    level: Level = Level.I6,
    plan: Iterable[Planned] = (),
    paused: Iterable[Pause] = (),
    blocks: dict[int, int] | None = None,
    absent: dict[int, int] | None = None,
    batch_blocks: int = 0,
    **fields: Any,
) -> View:
    """Before `step`, at `step` seconds. `plan` is every plan: what is queued, predicted, true and the future.

    `blocks`: what a request reads that is not planned. `absent`: how many of a request's blocks are missing; all of
    them where nothing is said. `batch_blocks`: read by the running batch, one request numbered -1.
    """
    planned = list(plan)
    known = {entry.request: entry.blocks for entry in planned} | (blocks or {})
    missing = known | (absent or {})

    def within(horizon: int | None) -> list[Planned]:
        return [entry for entry in planned if horizon is None or entry.step - step <= horizon]

    plans: dict[str, Callable] = dict.fromkeys(("plan", "predicted_plan", "true_plan"), within)
    return View(
        level,
        {
            "now_s": float(step),
            "step_s": 1.0,
            "block_load_s": 1.0,
            "capacity_blocks": 100,
            "free_blocks": 0,
            "accesses": Accesses.none(),
            "step": step,
            "batch": (-1,),
            "reads": ((-1, 0, batch_blocks),),
            "queue": tuple(entry.request for entry in planned),
            "quantum_left": None,
            "paused": tuple(paused),
            "blocks_of": lambda request: known[request],
            "absent_of": lambda request: missing[request],
            "future": lambda entries: planned[:entries],
            **plans,
            **fields,
        },
    )
