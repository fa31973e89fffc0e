"""Would offload pay? One of three answers, by thresholds that stand here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.kv_events.report import Point, Report

MIN_SPAN_S = 300.0
"""A log that is shorter says nothing of users who come back. `pagedkv kv-events report --min-span-s` changes it."""
MAX_AWAY_SHARE = 0.5
"""Of the span, for the p90 of the times after which blocks come back. Above that, many more are cut off by its end."""
MIN_TURNOVER = 1.0
"""Removed blocks, in peaks of what the GPU held. Below that the pool was not renewed once: what it was going to remove,
and whether that comes back, is not in the log."""
MAX_MISSING_SHARE = 0.01
"""Of all batches. A missing batch hides removals and stores, and joins or cuts what lies around it."""
MAX_AGAIN_SHARE = 0.5
"""Of the blocks stored, for those that were there. Above that, hits are announced too (vLLM's `kv_cache_report_mode:
full`), which no removal answers: what is resident cannot be told."""
MIN_GAIN_SHARE = 0.01
"""Of the blocks that were computed, for those that a tier would have held: however idle the GPU is."""
ENOUGH_SHARE = 0.9
"""The smallest tier that holds so much of what came back is the one to name."""

PAYS, NOTHING, UNKNOWN = "pays", "nothing", "unknown"


@dataclass(frozen=True)
class Verdict:
    kind: str
    text: str


def verdict(found: Report, min_span_s: float = MIN_SPAN_S) -> Verdict:
    """The answer of a report; `text` is one line."""
    if cause := _unknown(found, min_span_s):
        return Verdict(UNKNOWN, f"cannot be said: {cause}")
    if found.removed == 0:
        return Verdict(NOTHING, "nothing to gain: the GPU never had to remove a block")
    if found.came_back == found.reloaded:
        return Verdict(NOTHING, "nothing to gain: no block came back that the present tiers had not kept")
    if found.whole is None:
        return Verdict(UNKNOWN, f"cannot be said: {found.no_costs}")
    return _worth(found, found.whole)


def _unknown(found: Report, min_span_s: float) -> str:
    """Why the log is not enough, empty if it is."""
    share = found.missing / (found.batches + found.missing)
    if share > MAX_MISSING_SHARE:
        return f"{share:.1%} of the batches are missing, more than {MAX_MISSING_SHARE:.0%}"
    stored, again = (sum(getattr(tier, name) for tier in found.gpu) for name in ("stored", "stored_again"))
    if again > MAX_AGAIN_SHARE * stored:
        return f"{again / stored:.1%} of the blocks stored were there before: hits are announced as well"
    if found.span_s < min_span_s:
        return f"the log is too short, {found.span_s:.1f} s of at least {min_span_s:g} s"
    turnover = min((tier.removed / tier.peak if tier.peak else 0.0 for tier in found.gpu), default=0.0)
    if found.removed > 0 and turnover < MIN_TURNOVER:
        return f"the log is too short, a GPU removed only {turnover:.2f} times what it held"
    if found.came_back:
        away_s = float(np.percentile(found.away_s, 90))
        if away_s > MAX_AWAY_SHARE * found.span_s:
            return f"the log is too short, blocks come back after up to {away_s:.1f} s of its {found.span_s:.1f} s"
    return ""


def _worth(found: Report, whole: Point) -> Verdict:
    value, share, gpu_s = whole.worth, whole.worth.loaded_blocks / found.computed, found.span_s * found.ranks
    times = f"{value.saved_s:.1f} s of prefill saved for {value.load_s:.1f} s of loads, in {gpu_s:.0f} s of GPU time"
    if value.gain_s <= 0:
        return Verdict(NOTHING, f"nothing to gain: loading takes longer than computing again ({times})")
    if share < MIN_GAIN_SHARE:
        return Verdict(NOTHING, f"nothing to gain: {share:.2%} of the blocks computed had been there before ({times})")
    if value.saved_s > gpu_s:
        times += ", which is more than there was: the GPU did not compute them, or is a faster one"
    enough = _enough(found, whole)
    size = "a tier that holds everything" if enough is None else f"{enough.capacity_blocks} blocks a GPU"
    return Verdict(
        PAYS,
        f"offload would pay at most {share:.1%} of the blocks computed, which had been there before ({times}); "
        f"{ENOUGH_SHARE:.0%} of that takes {size}",
    )


def _enough(found: Report, whole: Point) -> Point | None:
    goal = ENOUGH_SHARE * whole.worth.loaded_blocks
    return next((p for p in found.points if p.capacity_blocks is not None and p.worth.loaded_blocks >= goal), None)
