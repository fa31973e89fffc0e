"""Consecutive decode steps in which only lengths change, advanced together.

The cost of a simulation then grows with events (arrivals, finishes, blocks), not with steps. The result is the one
that single steps give: same block numbers and slots, same stores at the same times, same step times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pagedkv.geometry import BLOCK_TOKENS

if TYPE_CHECKING:
    from pagedkv.engine.batch import Batch
    from pagedkv.engine.serve import ServeLoop

LONGEST = 4096
"""Steps taken at once at most, which bounds the size of the arrays."""


def leap(loop: ServeLoop, batch: Batch, start_s: float, first_compute_s: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Advance the loop over as many equal steps as possible, the one just scheduled included.

    `start_s`: start of compute of the first step. Returns (starts of compute, compute times), or None if the next
    boundary has something to do. The caller books tokens and time.
    """
    batch.settle()
    requests = batch.requests
    steps = min(request.output_tokens - request.produced for request in requests)
    state = loop.scheduler.queue_state(loop.step)
    if state.quantum_left is not None:
        # At quantum_left 0 the set was rotated just now, or nobody waits and it stays until somebody does.
        steps = min(steps, state.quantum_left or 1)
    steps = min(steps, LONGEST)
    if steps < 2:
        return None
    computes = _compute_times(loop, batch, steps, first_compute_s)
    starts = start_s + np.concatenate([[0.0], np.cumsum(computes[:-1])])
    # A boundary at or after the next arrival or abort sees it: the last step is the first one that ends there.
    next_s = min(loop.arrivals.next_s, loop.aborts.next_s)
    steps = min(steps, 1 + int(np.searchsorted(starts + computes, next_s, side="left")))
    computed = batch.computed
    steps = min(steps, _steps_with_room(loop, computed, steps))
    if steps < 2:
        return None
    starts, computes = starts[:steps], computes[:steps]
    _run_blocks(loop, batch, computed, starts, computes)
    return starts, computes


def _compute_times(loop: ServeLoop, batch: Batch, steps: int, first_s: float) -> np.ndarray:
    """Step times: with a fixed batch the roofline is affine in the context, which grows by the batch each step."""
    device, size = loop.device, len(batch)
    context = batch.work[1]
    slope = (device.compute_s(size, context + size) - device.compute_s(size, context)) / size
    return first_s + slope * size * np.arange(steps)


def _steps_with_room(loop: ServeLoop, computed: np.ndarray, steps: int) -> int:
    """Steps for which the pool has blocks. The first step has its blocks already."""
    tiers = loop.memory.tiers
    if len(computed) * (steps // BLOCK_TOKENS + 1) <= tiers.pool.free_count:
        return steps
    needed = np.cumsum(np.bincount(_begun(computed, steps)[0], minlength=steps))
    if needed[-1] <= tiers.pool.free_count:
        return steps
    return int(np.searchsorted(needed, tiers.room_at_once, side="right"))


def _begun(computed: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(step, request) pairs, after the first step, at which a request begins a block; by step, then batch order."""
    first = -computed % BLOCK_TOKENS
    return _every_block(np.where(first == 0, BLOCK_TOKENS, first), steps)


def _filled(computed: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(step, request) pairs at whose end a block is full; by step, then batch order."""
    return _every_block(BLOCK_TOKENS - 1 - computed % BLOCK_TOKENS, steps)


def _every_block(first: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.maximum(0, (steps - 1 - first) // BLOCK_TOKENS + 1)
    request = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(request)) - np.repeat(np.cumsum(counts) - counts, counts)
    step = first[request] + BLOCK_TOKENS * within
    order = np.lexsort((request, step))
    return step[order], request[order]


def _run_blocks(loop: ServeLoop, batch: Batch, computed: np.ndarray, starts: np.ndarray, computes: np.ndarray) -> None:
    """Create the blocks that the steps begin, and store those that they fill, each when its step ends."""
    steps = len(starts)
    begun_at, begun_by = _begun(computed, steps)
    loop.kv.append_blocks([batch.requests[row] for row in begun_by.tolist()], (begun_at + loop.step).tolist())
    if loop.memory.tiers.host is not None:
        _store_filled(loop, batch, computed, starts + computes)
    loop.device.advance_to(float(starts[-1] + computes[-1]))
    loop.kv.register_decoded(batch.requests, computed, steps)


def _store_filled(loop: ServeLoop, batch: Batch, computed: np.ndarray, ends_s: np.ndarray) -> None:
    """Write every block through when the step that fills it ends."""
    tiers, device, ends = loop.memory.tiers, loop.device, ends_s.tolist()
    full_at, full_by = _filled(computed, len(ends))
    blocks = (computed[full_by] + full_at) // BLOCK_TOKENS
    contents = np.array([batch.requests[r].table[b] for r, b in zip(full_by.tolist(), blocks.tolist(), strict=True)])
    edges = np.flatnonzero(np.diff(full_at, prepend=-1)).tolist() + [len(full_at)]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        device.advance_to(ends[full_at[low]])
        tiers.store(contents[low:high])
