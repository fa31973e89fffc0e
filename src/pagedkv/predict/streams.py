"""The page stream of a trace, as a prefetcher at each level would have to predict it.

Within a stay in the batch a step reads what the step before it read, and what it has written itself. What has to be
predicted are the pages that come back: those of a request that joins the batch with blocks that exist.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from pagedkv.engine.script import Script
from pagedkv.trace.schema import PlanDelta

NOBODY = -1
"""Nobody has held a block yet: its first holder still runs."""

ARRIVES = -1
"""Queue position of a request that joined the queue at the very boundary at which it enters."""


@dataclass(frozen=True)
class Entering:
    """A request that joins the batch before `step` and reads its first `blocks` blocks; `position` in the queue it left
    (`ARRIVES`: it had not been there at the boundary before). `source`: the request that held its last block last,
    which is itself where it comes back, and for a new one tells whose pages it reads."""

    step: int
    request: int
    blocks: int
    position: int
    source: int


@dataclass(frozen=True)
class Pages:
    """Accesses in order, as equally long arrays: request and block, or address space and slot."""

    stream: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.stream)

    def first(self, count: int) -> Pages:
        return Pages(self.stream[:count], self.index[:count])


def entering(script: Script) -> list[Entering]:
    """All entries with existing blocks, by step and rank, with their place in the queue."""
    waiting: deque[int] = deque()
    joined: dict[int, int] = {}
    holder = np.full(script.contents, NOBODY)
    found = []
    for step in script.event_steps.tolist():
        events = script.events[step]
        for leave in events.leaves:
            holder[leave.contents] = leave.request
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
                position, source = positions.get(enter.request, ARRIVES), int(holder[enter.contents[-1]])
                found.append(Entering(step, enter.request, len(enter.contents), position, source))
    return found


def pages_of(script: Script) -> Pages:
    """Pages that enter the batch, as (request, block), in the order of access."""
    requests = [np.full(len(held), request) for _, request, held in script.entries]
    blocks = [np.arange(len(held)) for _, _, held in script.entries]
    return Pages(_joined(requests), _joined(blocks))


def lives_of(script: Script) -> tuple[np.ndarray, np.ndarray]:
    """(contents, mask): all uses of pages in order, where a page is created or enters the batch; the mask marks the
    entries."""
    uses = [(step, 0, contents) for step, _, contents in script.entries]
    uses += [(step, 1, script.events[step].created) for step in script.event_steps.tolist()]
    uses = sorted(((step, kind, contents) for step, kind, contents in uses if len(contents)), key=lambda use: use[:2])
    entered = [np.full(len(contents), kind == 0) for _, kind, contents in uses]
    return _joined([contents for _, _, contents in uses]), _joined(entered).astype(bool)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
