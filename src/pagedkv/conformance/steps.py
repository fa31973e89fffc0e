"""What a trace says of each step, in the form in which two engines are compared.

An *aspect* is one thing that a scheduler decides: rows of a few integers a step, in an order that means something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pagedkv.trace.extents import expand
from pagedkv.trace.schema import Columns, Event, Trace

KEPT = {
    "steps": ("step", "start_us"),
    "reads": ("step", "steps", "request", "rank", "computed_tokens", "scheduled_tokens"),
    "tables": ("step", "request", "first_block", "blocks", "first_slot", "slot_stride", "first_content"),
    "events": ("step", "kind", "request", "value"),
}
"""Tables of a trace, and columns of them, that a comparison needs."""

Kept = Mapping[str, Columns]

ASPECTS = {
    "batch": ("request", "tokens"),
    "computed": ("request", "computed"),
    "hits": ("request", "hit tokens"),
    "preemptions": ("request", "computed"),
    "ends": ("request", "kind"),
    "blocks": ("request", "block", "slot"),
    "victims": ("request", "block"),
    "times": ("start in ns",),
}
"""Name of an aspect -> what the integers of a row are. `batch`: who runs, in order, with how many tokens; `computed`:
how far each was; `hits`: who was admitted, and what it found; `blocks`: what was added to whose block table, and where
it lies; `victims`: whose block lay there before; `ends`: who finished, was given up or was refused."""


@dataclass(frozen=True)
class Rows:
    """Rows of one aspect: step of each, in order, and its integers."""

    step: np.ndarray
    values: np.ndarray


def kept(trace: Trace) -> Kept:
    """What a comparison needs of `trace`."""
    return {name: {column: getattr(trace, name)[column] for column in columns} for name, columns in KEPT.items()}


def aspects(said: Kept) -> dict[str, Rows]:
    """All rows of every aspect."""
    step, request, rank, computed, tokens = _batches(said["reads"])
    placed = _placed(said["tables"], step, request)
    begins = said["steps"]["step"], np.rint(said["steps"]["start_us"] * 1e3)
    return {
        "batch": _rows(step, request, tokens),
        "computed": _rows(step, request, computed),
        "hits": _hits(step, request, rank, computed),
        "preemptions": _events(said["events"], (Event.PREEMPT,), "value"),
        "ends": _events(said["events"], (Event.FINISH, Event.ABORT, Event.DROP), "kind"),
        "blocks": _rows(placed[0], placed[1], placed[2], placed[3]),
        "victims": _victims(*placed),
        "times": _rows(*begins),
    }


def _rows(step: np.ndarray, *columns: np.ndarray) -> Rows:
    return Rows(step.astype(np.int64), np.stack([np.asarray(c, np.int64) for c in columns], axis=1))


def _batches(reads: Columns) -> tuple[np.ndarray, ...]:
    """(step, request, rank, tokens computed before it, tokens of it) of each request in each step, in batch order."""
    steps = reads["steps"].astype(np.int64)
    row = np.repeat(np.arange(len(steps)), steps)
    step = expand(reads["step"].astype(np.int64), steps)
    tokens = reads["scheduled_tokens"].astype(np.int64)[row]
    computed = reads["computed_tokens"].astype(np.int64)[row] + (step - reads["step"][row]) * tokens
    columns = (step, reads["request"][row], reads["rank"][row], computed, tokens)
    order = np.lexsort((columns[2], step))
    return tuple(column[order] for column in columns)


def _hits(step: np.ndarray, request: np.ndarray, rank: np.ndarray, computed: np.ndarray) -> Rows:
    """Of requests that join the batch: what they had computed then, which is what they found in the cache.

    Every stay in the batch has a rank of its own.
    """
    joins = np.sort(np.unique(rank, return_index=True)[1])
    return _rows(step[joins], request[joins], computed[joins])


def _events(events: Columns, kinds: tuple[Event, ...], value: str) -> Rows:
    chosen = np.isin(events["kind"], kinds)
    return _rows(events["step"][chosen], events["request"][chosen], events[value][chosen])


def _placed(tables: Columns, read_step: np.ndarray, reader: np.ndarray) -> tuple[np.ndarray, ...]:
    """(step, request, block, slot, content) of every entry of every block table, in order of the first three.

    An entry counts from the next step on in which its request runs: one that waits for a load has a table before that.
    """
    blocks = tables["blocks"].astype(np.int64)
    step, request = np.repeat(tables["step"], blocks), np.repeat(tables["request"], blocks)
    block, content = expand(tables["first_block"], blocks), expand(tables["first_content"], blocks)
    slot = expand(tables["first_slot"], blocks, tables["slot_stride"].astype(np.int64))
    step = _next_step(step, request, read_step, reader)
    order = np.lexsort((block, request, step))
    return step[order], request[order], block[order], slot[order], content[order]


def _next_step(step: np.ndarray, request: np.ndarray, read_step: np.ndarray, reader: np.ndarray) -> np.ndarray:
    """The first step from each of `step` on in which its request runs; the step itself if there is none."""
    steps = int(max(step.max(initial=0), read_step.max(initial=0))) + 1
    runs = np.sort(reader * steps + read_step)
    if not len(runs):
        return step
    at = runs[np.minimum(np.searchsorted(runs, request * steps + step), len(runs) - 1)]
    later = (at // steps == request) & (at % steps >= step)
    return np.where(later, at % steps, step)


def _victims(step: np.ndarray, request: np.ndarray, block: np.ndarray, slot: np.ndarray, content: np.ndarray) -> Rows:
    """(request, block) under which a content was first known that loses its slot to another one."""
    # Entries that put a content into a slot; the others find it where it already lies.
    first = np.sort(np.unique(np.stack([content, slot]), axis=1, return_index=True)[1])
    order = np.lexsort((first, slot[first]))
    created = first[order]
    same = slot[created][1:] == slot[created][:-1]
    taker, loser = created[1:][same], created[:-1][same]
    order = np.lexsort((block[loser], request[loser], step[taker]))
    return _rows(step[taker][order], request[loser][order], block[loser][order])
