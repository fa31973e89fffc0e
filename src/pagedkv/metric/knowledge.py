"""rho and k*: how long before its entry a request is named by the scheduler's plan, against the time its load takes.

An *entry event* is a step at which requests with blocks in the host tier join the batch. L is the load time of those
of their blocks that are not on the GPU under `none` + LRU. A request is named by the I4 plan from the boundary at
which it joined the queue. Notices overlap, and the link serves one block at a time, so the time A that is known ahead
of an event counts from the later of its notice and the previous event: summed over events it is the time in which at
least one coming load was known. For one queued arrival that is its queue delay; on a rotation, one quantum, so that
rho = V tau / (q c) as design section 10 asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pagedkv.bound.horizon import k_star
from pagedkv.engine.script import Script
from pagedkv.trace.schema import PlanDelta


@dataclass(frozen=True)
class Knowledge:
    """`rho`: sum of L over sum of A (inf where nothing is known ahead, NaN without loads); `rho_p50`, `rho_p90`: of
    L/A over events with A > 0; `unknowable_share`: share of the loaded blocks whose request enters at the boundary at
    which it arrives; `k_star`: steps that the largest load takes (`bound.horizon`)."""

    rho: float
    rho_p50: float
    rho_p90: float
    unknowable_share: float
    k_star: float


@dataclass(frozen=True)
class EntryEvent:
    """Blocks loaded at a step, those of them whose request could not be known earlier, and the notice in seconds."""

    step: int
    blocks: int
    unknowable_blocks: int
    notice_s: float


def entry_events(script: Script, misses: list[tuple[int, np.ndarray]], first_step: int) -> list[EntryEvent]:
    """Entry events of a D-step run of `none` + LRU whose demand loads were `misses`, from `first_step` on."""
    start_s = np.concatenate([[0.0], np.cumsum(script.compute_s + script.idle_s)])
    named = _named_steps(script)
    previous_s = -math.inf
    events = []
    for step, contents in misses:
        if step < first_step:
            continue
        loaded = unknowable = 0
        first_named = step
        for enter in script.events[step].enters:
            blocks = int(np.isin(enter.contents, contents).sum())
            if blocks == 0:
                continue
            loaded += blocks
            at = named.get((enter.request, step), step)
            unknowable += blocks if at >= step else 0
            first_named = min(first_named, at)
        notice = float(start_s[step]) - max(float(start_s[first_named]), previous_s)
        previous_s = float(start_s[step])
        events.append(EntryEvent(step, loaded, unknowable, max(0.0, notice)))
    return events


def knowledge(
    events: list[EntryEvent], script: Script, submit_s: float, block_load_s: float, quantum_blocks: int
) -> Knowledge:
    """Summary over `events` for a link of the given cost; prefetches go `quantum_blocks` a submission."""
    nan = math.nan
    if not events:
        return Knowledge(nan, nan, nan, nan, nan)
    loads = np.array([submit_s + event.blocks * block_load_s for event in events])
    notices = np.array([event.notice_s for event in events])
    swapped_in = np.array([event.blocks for event in events])
    blocks = sum(event.blocks for event in events)
    known = notices > 0
    ratios = loads[known] / notices[known]
    return Knowledge(
        rho=float(loads.sum() / notices.sum()) if notices.sum() > 0 else math.inf,
        rho_p50=float(np.percentile(ratios, 50)) if len(ratios) else nan,
        rho_p90=float(np.percentile(ratios, 90)) if len(ratios) else nan,
        unknowable_share=sum(event.unknowable_blocks for event in events) / blocks if blocks else nan,
        k_star=float(k_star(swapped_in, block_load_s + submit_s / quantum_blocks, float(script.compute_s.mean()))),
    )


def _named_steps(script: Script) -> dict[tuple[int, int], int]:
    """(request, step of entry) -> step of the boundary at which the request joined the queue before."""
    named: dict[tuple[int, int], int] = {}
    joined: dict[int, int] = {}
    for step in script.event_steps.tolist():
        events = script.events[step]
        for kind, request in events.queue:
            if kind != PlanDelta.LEAVE_QUEUE:
                joined[request] = step
        for enter in events.enters:
            named[enter.request, step] = joined.get(enter.request, step)
    return named
