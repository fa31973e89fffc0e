"""The page stream of a trace, as a prefetcher at each level would have to predict it.

Within a stay in the batch a step reads what the step before it read, and what it has written itself. What has to be
predicted are the pages that come back: those of a request that joins the batch with blocks that exist.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pagedkv.engine.managed import Mappings
from pagedkv.engine.script import Script
from pagedkv.trace.schema import PlanDelta

ARRIVES = -1
"""Queue position of a request that joined the queue at the very boundary at which it enters."""


@dataclass(frozen=True)
class Entering:
    """A request that joins the batch before `step` and reads its first `blocks` blocks; `position` in the queue it left
    (`ARRIVES`: it had not been there at the boundary before)."""

    step: int
    request: int
    blocks: int
    position: int


@dataclass(frozen=True)
class Pages:
    """Accesses in order, as equally long arrays: step, request, block of the request, and content."""

    step: np.ndarray
    request: np.ndarray
    block: np.ndarray
    content: np.ndarray

    def __len__(self) -> int:
        return len(self.step)

    def first(self, count: int) -> Pages:
        return Pages(self.step[:count], self.request[:count], self.block[:count], self.content[:count])


def entering(script: Script) -> list[Entering]:
    """All entries with existing blocks, by step and rank, with their place in the queue."""
    waiting: deque[int] = deque()
    joined: dict[int, int] = {}
    found = []
    for step in script.event_steps.tolist():
        events = script.events[step]
        positions: dict[int, int] = {}
        for kind, request in events.queue:
            if kind == PlanDelta.LEAVE_QUEUE:
                positions[request] = ARRIVES if joined.get(request) == step else waiting.index(request)
                waiting.remove(request)
            elif kind == PlanDelta.QUEUE_FRONT:
                waiting.appendleft(request)
                joined[request] = step
            else:
                waiting.append(request)
                joined[request] = step
        for enter in events.enters:
            if len(enter.contents):
                found.append(Entering(step, enter.request, len(enter.contents), positions.get(enter.request, ARRIVES)))
    return found


def pages_of(script: Script, loaded: list[tuple[int, np.ndarray]] | None = None) -> Pages:
    """Pages that enter the batch, in the order of access; with `loaded`, the (step, contents) that a run had to load,
    only those."""
    steps, requests, blocks, contents = [], [], [], []
    missing = None
    if loaded is not None:
        missing = {step: set(np.asarray(content).tolist()) for step, content in loaded}
    for step, request, held in script.entries:
        index = np.arange(len(held))
        if missing is not None:
            due = missing.get(step)
            if not due:
                continue
            index = np.flatnonzero([content in due for content in held.tolist()])
            due.difference_update(held.tolist())
        steps.append(np.full(len(index), step))
        requests.append(np.full(len(index), request))
        blocks.append(index)
        contents.append(held[index])
    parts = [np.concatenate(part).astype(np.int64) if part else np.zeros(0, np.int64) for part in (steps, requests)]
    rest = [np.concatenate(part).astype(np.int64) if part else np.zeros(0, np.int64) for part in (blocks, contents)]
    return Pages(*parts, *rest)


def slots_of(pages: Pages, mappings: Mappings) -> np.ndarray:
    """Slot of each page at the step that accesses it; `mappings` says what gets which slot at which step."""
    slot = np.full(int(pages.content.max(initial=-1)) + 1, -1, np.int64)
    found = np.full(len(pages), -1, np.int64)
    if len(pages) == 0:
        return found
    steps, first = np.unique(pages.step, return_index=True)
    ends = [*first[1:].tolist(), len(pages)]
    coming = iter(sorted(mappings))
    upcoming = next(coming, None)
    for step, low, high in zip(steps.tolist(), first.tolist(), ends, strict=True):
        while upcoming is not None and upcoming <= step:
            contents, slots = mappings[upcoming]
            here = contents < len(slot)
            slot[contents[here]] = slots[here]
            upcoming = next(coming, None)
        found[low:high] = slot[pages.content[low:high]]
    return found
