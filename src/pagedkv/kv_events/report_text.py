"""A report in words, with what the events cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pagedkv.kv_events.events import GPU
from pagedkv.kv_events.host_tier import FIFO, LRU
from pagedkv.kv_events.offload_worth import Costs
from pagedkv.kv_events.report import Report
from pagedkv.kv_events.residency import Tier
from pagedkv.kv_events.verdict import MIN_SPAN_S, verdict

MIB, GIB = 2**20, 2**30

CANNOT_BE_SAID = (
    ("hits on the GPU, hence the hit rate", "vLLM publishes no event when a request finds a block"),
    ("which request or step reads which block, hence accesses and their order", "events name blocks, not requests"),
    (
        "how long a load is known ahead (A_e), hence rho and the determinism horizon",
        "arrivals, the waiting queue and admissions are not published",
    ),
    ("the last, partly filled block of a request", "only full blocks have a hash, and only hashed ones have events"),
    ("preemptions", "a preempted request's blocks stay cached, and leave like any others"),
    (
        "TTFT, stalls and times of steps, hence what single requests gain",
        "a batch carries the time of its publication, and only if it has events",
    ),
    (
        "which returned blocks were decoded rather than prefilled",
        "an output that is generated again stores the same blocks, and no tier saves that: figures are upper bounds",
    ),
    ("what came back after the end of the log", "the log ends; a longer one can only show more"),
)
"""What nobody can read from KV events, and why."""


def lines(found: Report, min_span_s: float = MIN_SPAN_S) -> Iterator[str]:
    """The report, line by line; `min_span_s` is for the verdict."""
    yield f"{found.batches} batches from {_of(found.ranks, 'rank')} in {found.span_s:.1f} s, {_missing(found)}"
    for (rank, medium), tier in found.tiers.items():
        yield f"rank {rank}, {medium}: {_tier(tier, found.costs if medium == GPU else None)}"
    yield from _returns(found)
    yield from _curve(found)
    yield "cannot be said from KV events:"
    for what, why in cannot_be_said(found):
        yield f"  {what}: {why}"
    yield f"verdict: {verdict(found, min_span_s).text}"


def cannot_be_said(found: Report) -> list[tuple[str, str]]:
    """(what, why) for this log: what never can, and what this one leaves open."""
    limits = list(CANNOT_BE_SAID)
    if found.no_costs:
        limits.append(("bytes and times", found.no_costs))
    if not found.numbered:
        limits.append(("whether batches are missing", "the log has no sequence numbers"))
    if found.rootless:
        limits.append(
            (
                f"how deep {found.rootless} stored runs lie in their prefix",
                "their roots were stored before the log began",
            )
        )
    return limits


def _of(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _missing(found: Report) -> str:
    return f"{found.missing} missing" if found.numbered else "without sequence numbers"


def _spread(values: np.ndarray | Sequence[float], unit: str, digits: int = 1) -> str:
    values = np.asarray(values)
    if len(values) == 0:
        return "none"
    p50, p90, most = np.percentile(values, [50, 90, 100])
    return f"p50 {p50:.{digits}f}, p90 {p90:.{digits}f}, most {most:.{digits}f}{unit}"


def _tier(tier: Tier, costs: Costs | None) -> str:
    size = f" ({tier.peak * costs.block_bytes / GIB:.2f} GiB)" if costs is not None else ""
    return (
        f"stored {tier.stored} ({tier.stored_again} of them while there), removed {tier.removed} "
        f"({tier.removed_unseen} of them stored before the log), cleared {tier.cleared}, "
        f"peak {tier.peak} blocks{size}, lifetime {_spread(tier.lifetimes_s, ' s')}"
    )


def _returns(found: Report) -> Iterator[str]:
    share = f" ({found.came_back / found.removed:.1%})" if found.removed else ""
    yield f"of {found.removed} blocks removed from GPUs {found.came_back} came back{share}"
    if found.reloaded:
        yield f"  {found.reloaded} of them while another medium held them: loaded, or computed again in spite of it"
    if found.came_back:
        yield f"  away for {_spread(found.away_s, ' s')}"
        yield f"  other blocks stored meanwhile: {_spread(found.others_stored, '', 0)}"
        yield f"  runs that a host tier could load: {len(found.runs.blocks)}"
        yield f"  blocks of a run: {_spread(found.runs.blocks, '', 0)}"
        yield f"  blocks of the prefix before it: {_spread(found.runs.depth, '', 0)}"
    if found.came_back and found.costs is not None:
        yield f"  time of such a load on the link (L_e): {_spread(1e3 * found.runs.load_s, ' ms', 2)}"


def _curve(found: Report) -> Iterator[str]:
    costs = found.costs
    if costs is None or found.whole is None or found.came_back == 0:
        return
    link_s = found.span_s * found.ranks or float("nan")
    yield (
        f"host tier of removed blocks, by costs of {costs.geometry.name} on {costs.calibration.device}, "
        f"{costs.block_bytes / MIB:.2f} MiB a block:"
    )
    yield (
        "    blocks      GiB  of peak  held LRU  held FIFO  loads MiB/s  link in  stores MiB/s  link out  "
        "prefill saved <="
    )
    fifo = {point.capacity_blocks: point.share for point in found.points if point.order == FIFO}
    for point in found.points:
        if point.order != LRU:
            continue
        size, value = point.capacity_blocks, point.worth
        place = (
            "       all        -        -"
            if size is None
            else f"{size:10d} {size * costs.block_bytes / GIB:8.2f} {size / found.peak_blocks:8.3g}"
        )
        rates = [blocks * costs.block_bytes / MIB / link_s for blocks in (value.loaded_blocks, value.stored_blocks)]
        yield (
            f"{place} {point.share:9.1%} {fifo.get(size, point.share):10.1%} {rates[0]:12.2f} "
            f"{value.load_s / link_s:8.2%} {rates[1]:13.2f} {value.store_s / link_s:9.2%} {value.saved_s:14.2f} s"
        )
