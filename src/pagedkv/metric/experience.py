"""What the requests of a recorded closed loop experienced, read from its trace: of whichever engine it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.engine.transfers import LOAD, STORE
from pagedkv.trace.schema import Event, Trace


def experienced(trace: Trace) -> dict[str, Any]:
    """Columns named as those of the closed loop (`metric.serve`); of requests that finished, times in seconds.

    `busy_s`: what the steps and their stalls took, idle time left out. `decode_step_s`, `prompt_step_s`: median time of
    the steps that only decode, and of those with prompts.
    `prefill_tokens` counts what was computed of prompts, again after each preemption.
    """
    steps, events = trace.steps, trace.events
    ends_s = (steps["start_us"] + steps["stall_us"] + steps["compute_us"]) * 1e-6
    first_s = {request: float(ends_s[step]) for request, step in first_token_steps(trace).items()}
    finish = events["kind"] == Event.FINISH
    finished_s = dict(zip(events["request"][finish].tolist(), (events["time_us"][finish] * 1e-6).tolist(), strict=True))
    names = ("request", "arrival_us", "output_tokens")
    rows = list(zip(*(trace.requests[name].tolist() for name in names), strict=True))
    ttft_s = [first_s[request] - arrival_us * 1e-6 for request, arrival_us, _ in rows]
    tpot_s = [(finished_s[request] - first_s[request]) / (tokens - 1) for request, _, tokens in rows if tokens > 1]
    elapsed_s, compute_s = float(ends_s[-1]), steps["compute_us"] * 1e-6
    moved = {which: trace.transfers["direction"] == which for which in (LOAD, STORE)}
    block_bytes = trace.header["block_bytes"]
    loaded, stored = (int(trace.transfers["blocks"][moved[which]].sum()) for which in (LOAD, STORE))
    return {
        "requests": len(rows),
        "steps": len(ends_s),
        "elapsed_s": elapsed_s,
        "busy_s": float(compute_s.sum() + steps["stall_us"].sum() * 1e-6),
        "tokens_s": sum(tokens for *_, tokens in rows) / elapsed_s,
        "ttft_mean_s": float(np.mean(ttft_s)),
        "ttft_p99_s": float(np.percentile(ttft_s, 99)),
        "tpot_p50_s": float(np.percentile(tpot_s, 50)) if tpot_s else float("nan"),
        "decode_step_s": _median(compute_s[steps["prefill_tokens"] == 0]),
        "prompt_step_s": _median(compute_s[steps["prefill_tokens"] > 0]),
        "stall_s": float(steps["stall_us"].sum()) * 1e-6,
        "preemptions": int((events["kind"] == Event.PREEMPT).sum()),
        "prefill_tokens": int(steps["prefill_tokens"].sum()),
        "hit_tokens": int(trace.requests["hit_tokens"].sum()),
        "h2d_bytes": loaded * block_bytes,
        "d2h_bytes": stored * block_bytes,
    }


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def first_token_steps(trace: Trace) -> dict[int, int]:
    """Request -> the step that computes the last token of its prompt for the first time."""
    reads = trace.reads
    prompts = dict(zip(trace.requests["request"].tolist(), trace.requests["prompt_tokens"].tolist(), strict=True))
    names = ("request", "step", "steps", "computed_tokens", "scheduled_tokens")
    first: dict[int, int] = {}
    for request, step, steps, computed, tokens in zip(*(reads[name].tolist() for name in names), strict=True):
        missing = prompts.get(request, 0) - computed
        if request in prompts and 0 < missing <= steps * tokens:
            at = step + -(-missing // tokens) - 1
            first[request] = min(at, first.get(request, at))
    return first
