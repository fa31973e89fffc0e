"""What each step of a trace computed, and when requests got their tokens, from the trace alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.engine.transfers import LOAD
from pagedkv.mix import splitmix64
from pagedkv.trace.schema import Event, Trace


@dataclass(frozen=True)
class Batches:
    """An entry a step: tokens computed, tokens attended, query-key pairs of prompt chunks, a digest of who computed how
    much, and for how long loads were under way while it was computed."""

    tokens: np.ndarray
    context: np.ndarray
    pairs: np.ndarray
    digest: np.ndarray
    loading_s: np.ndarray


def batches(trace: Trace) -> Batches:
    """As `engine/serve.py` counts them when it asks for the time of a step."""
    reads, steps = trace.reads, len(trace.steps["step"])
    lengths = reads["steps"]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.repeat(reads["step"], lengths) + within
    each = np.repeat(reads["scheduled_tokens"], lengths).astype(np.int64)
    request = np.repeat(reads["request"], lengths)
    computed = np.repeat(reads["computed_tokens"], lengths) + within * each
    pairs = np.where(each > 1, each * (computed + (each + 1) / 2), 0.0)

    def per_step(values: np.ndarray) -> np.ndarray:
        return np.bincount(step, values, minlength=steps)

    digest = np.zeros(steps, np.uint64)
    mixed = splitmix64(splitmix64(request.astype(np.uint64)) + each.astype(np.uint64))
    np.add.at(digest, step, mixed)  # a sum, which tells sets apart whatever their order
    return Batches(per_step(each), per_step(computed + each), per_step(pairs), digest, _loading_s(trace))


def _loading_s(trace: Trace) -> np.ndarray:
    steps, loads = trace.steps, trace.transfers["direction"] == LOAD
    begin = steps["start_us"] + steps["stall_us"]
    end = begin + steps["compute_us"]
    order = np.argsort(trace.transfers["start_us"][loads], kind="stable")
    # Together they cover as much as they would one after the other, each from where the ones before it end.
    done = np.maximum.accumulate(np.concatenate([[0.0], trace.transfers["done_us"][loads][order]]))
    start = np.maximum(trace.transfers["start_us"][loads][order], done[:-1])
    covered = np.concatenate([[0.0], np.cumsum(np.maximum(0.0, done[1:] - start))])

    def busy_by(moment: np.ndarray) -> np.ndarray:
        begun = np.searchsorted(start, moment)
        return covered[begun] - np.maximum(0.0, done[begun] - moment)

    return (busy_by(end) - busy_by(begin)) * 1e-6


@dataclass(frozen=True)
class Latencies:
    """In seconds, an entry a finished request, by number; `tpot_s` only of those with more than one token."""

    ttft_s: np.ndarray
    tpot_s: np.ndarray
    end_to_end_s: np.ndarray


def latencies(trace: Trace) -> Latencies:
    """When requests got their first and last token: the ends of the steps that computed the end of the prompt first,
    and that produced the last token."""
    steps, reads, requests = trace.steps, trace.reads, trace.requests
    ends_us = steps["start_us"] + steps["stall_us"] + steps["compute_us"]
    count = int(max(reads["request"].max(initial=-1), requests["request"].max(initial=-1))) + 1
    prompt = np.zeros(count, np.int64)
    prompt[requests["request"]] = requests["prompt_tokens"]
    left = prompt[reads["request"]] - reads["computed_tokens"]
    after = -(-left // reads["scheduled_tokens"]) - 1
    reaches = (after >= 0) & (after < reads["steps"])
    first_us = np.full(count, np.inf)
    np.minimum.at(first_us, reads["request"][reaches], ends_us[(reads["step"] + after)[reaches]])
    finished = trace.events["kind"] == Event.FINISH
    last_us = np.full(count, np.nan)
    last_us[trace.events["request"][finished]] = trace.events["time_us"][finished]
    order = np.argsort(requests["request"])
    number, arrival_us = requests["request"][order], requests["arrival_us"][order]
    output = requests["output_tokens"][order]
    several = output > 1
    decode_us = (last_us[number] - first_us[number])[several] / (output[several] - 1)
    return Latencies((first_us[number] - arrival_us) * 1e-6, decode_us * 1e-6, (last_us[number] - arrival_us) * 1e-6)
