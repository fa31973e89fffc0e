"""Two engines' steps beside each other: in how many they agree, and where they first do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.conformance.steps import ASPECTS, Kept, Rows, aspects
from pagedkv.trace.schema import EVENT_KINDS

TOLERANCE = {"times": 1}
"""A nanosecond: steps taken together and one by one add their times up in another order."""


@dataclass(frozen=True)
class Agreement:
    """`steps`: of the longer run; `identical`: aspect -> how many of them agree in it; `whole`: in how many everything
    does; `difference`: the first one, in a line, empty where there is none."""

    steps: int
    identical: dict[str, int]
    whole: int
    difference: str


def compare(ours: Kept, theirs: Kept) -> Agreement:
    """Hold `ours` against `theirs`, step by step. A step that only one of them has agrees in nothing."""
    counts = [len(said["steps"]["step"]) for said in (ours, theirs)]
    steps, common = max(counts), min(counts)
    mine, others = aspects(ours), aspects(theirs)
    differs = {name: _differs(mine[name], others[name], steps, TOLERANCE.get(name, 0)) for name in ASPECTS}
    for which in differs.values():
        which[common:] = True
    anywhere = np.any(list(differs.values()), axis=0) if steps else np.zeros(0, bool)
    identical = {name: int((~which).sum()) for name, which in differs.items()}
    difference = ""
    if anywhere.any():
        step = int(np.argmax(anywhere))
        aspect = next(name for name, which in differs.items() if which[step])
        difference = f"step {step}: {aspect}: {_said(mine[aspect], others[aspect], step, aspect)}"
    return Agreement(steps, identical, int((~anywhere).sum()), difference)


def _differs(mine: Rows, others: Rows, steps: int, tolerance: int) -> np.ndarray:
    """Boolean by step: whether the rows there are not the same. What comes after the last step counts with it."""
    at = [np.minimum(rows.step, steps - 1) for rows in (mine, others)]
    count = [np.bincount(step, minlength=steps) for step in at]
    differs = count[0] != count[1]
    values = [rows.values[~differs[step]] for rows, step in zip((mine, others), at, strict=True)]
    wrong = (np.abs(values[0] - values[1]) > tolerance).any(axis=1)
    differs[at[0][~differs[at[0]]][wrong]] = True
    return differs


def _said(mine: Rows, others: Rows, step: int, aspect: str) -> str:
    """The first rows of a step that differ, in words."""
    rows = [[tuple(row) for row in rows.values[rows.step == step].tolist()] for rows in (mine, others)]
    length = max(len(part) for part in rows)
    padded = [part + [None] * (length - len(part)) for part in rows]
    for one, other in zip(*padded, strict=True):
        if one != other:
            return f"{_words(one, aspect)}; vLLM: {_words(other, aspect)}"
    return "not in one of the two runs"


def _words(row: tuple[int, ...] | None, aspect: str) -> str:
    if row is None:
        return "nothing"
    named = zip(ASPECTS[aspect], row, strict=True)
    return ", ".join(EVENT_KINDS[value] if name == "kind" else f"{name} {value}" for name, value in named)
