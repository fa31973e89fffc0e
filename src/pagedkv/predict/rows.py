"""All figures of predictability of one trace, as rows (measure, stream, context, k, value)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.engine.script import Script
from pagedkv.predict.compress import compressed_bits
from pagedkv.predict.horizon import HorizonProbe, jaccard
from pagedkv.predict.ladder import (
    ORDERS,
    address_bits,
    logical_bits,
    membership_bits,
    queue_bits,
    schedule_bits,
)
from pagedkv.predict.lempel_ziv import fano_accuracy, lempel_ziv_bits, lempel_ziv_mean_bits, match_lengths
from pagedkv.predict.reuse import min_miss_ratios, miss_ratios, reuse_distances, sampled_miss_ratios
from pagedkv.predict.streams import Pages, entering, lives_of, pages_of
from pagedkv.predict.topk import TopK

MOST_SYMBOLS = 20_000
"""A stream is coded by contexts up to here, because time grows with length; the compressor takes all of it, and the
better of the two is what the report quotes."""
CAPACITIES = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Capacities of the miss-ratio curves, as shares of the pool."""
SAMPLE = 0.1

Row = dict[str, Any]
Progress = Callable[[str], None]


def _row(measure: str, value: float, stream: str = "", context: str = "", k: float = math.nan) -> Row:
    return {"measure": measure, "stream": stream, "context": context, "k": k, "value": float(value)}


def stream_rows(script: Script, faults: Mapping[str, Pages], progress: Progress = lambda text: None) -> Iterator[Row]:
    """Entropy, compressibility and Lempel-Ziv rate of the page streams.

    `faults`: what `none` under LRU faults on, as each address space names it (`logical` among them).
    """
    accesses = pages_of(script)
    yield _row("pages", len(faults["logical"]), "faults")
    yield _row("pages", len(accesses), "accesses")
    for name, pages in (*faults.items(), ("logical, all accesses", accesses)):
        progress(f"stream {name}")
        coded = pages.first(MOST_SYMBOLS)
        for order in ORDERS:
            bits = logical_bits(coded, order) if name.startswith("logical") else address_bits(coded.index, order)
            yield _row("entropy_bits", bits, name, f"order {order}")
        stream = _numbered(pages)
        yield _row("compressed_bits", compressed_bits(stream), name)
        lengths = match_lengths(np.diff(stream[:MOST_SYMBOLS], prepend=0).tolist())
        rate = lempel_ziv_bits(lengths)
        yield _row("lempel_ziv_bits", rate, name)
        yield _row("lempel_ziv_mean_bits", lempel_ziv_mean_bits(lengths), name)
        yield _row("fano_accuracy", fano_accuracy(rate, max(2, len(np.unique(stream)))), name)


def _numbered(pages: Pages) -> np.ndarray:
    """A stream as numbers: a logical id is request times the longest table plus block."""
    longest = int(pages.index.max()) + 1 if len(pages) else 1
    return pages.stream * longest + pages.index


def schedule_rows(script: Script, batch_size: int, quantum_steps: int | None) -> Iterator[Row]:
    """The split H(pages) = H(schedule) + H(pages | schedule), in bits a page that enters; and of top-k attention.

    Who sees the queue also sees what I3 sees, so that the better code of the two stands for I4.
    """
    entries = entering(script)
    pages = max(1, sum(entry.blocks for entry in entries))
    seen = schedule_bits(entries, script.steps)
    queue = queue_bits(entries, script.steps, batch_size, quantum_steps)
    known = {
        "I3": (seen.who, seen.when),
        "I4": (min(seen.who, queue.who), min(seen.when, queue.when)),
        "I5": (0.0, 0.0),
    }
    for level, bits in known.items():
        for part, value in zip(("who", "when"), bits, strict=True):
            yield _row("schedule_bits", value / pages, part, level)
    yield _row("pages_given_schedule_bits", _dense_bits(script), "dense")
    yield _row("pages_given_schedule_bits", _topk_bits(TopK()), "topk")


def _dense_bits(script: Script) -> float:
    """Bits a page for what the entering requests read, when request and length are known: dense attention reads all."""
    rows, pages = [], 0
    for _, _, held in script.entries:
        if pages + len(held) > MOST_SYMBOLS:
            break
        pages += len(held)
        rows.append((np.ones(len(held), bool), np.ones(len(held), bool)))
    return membership_bits(rows) / max(1, pages)


def _topk_bits(workload: TopK) -> float:
    rows = list(workload.selections())
    return membership_bits(rows) / sum(int(selected.sum()) for selected, _ in rows)


def similarity_rows(script: Script) -> Iterator[Row]:
    """Likeness of the page sets of consecutive steps, and pages that enter a step."""
    intervals = intervals_of(script)
    joined = _joined(script, intervals)
    yield _row("jaccard", jaccard(intervals.working, joined))
    yield _row("entering_pages_per_step", float(joined.mean()))


def _joined(script: Script, intervals: Intervals) -> np.ndarray:
    """Pages of each step that the step before did not use: created, or back from an idle interval."""
    created = np.bincount(script.created_step, minlength=script.steps)[: script.steps]
    back = np.bincount(intervals.entry, weights=intervals.blocks, minlength=script.steps)[: script.steps]
    return created + back.astype(np.int64)


def reuse_rows(script: Script, pool_blocks: int) -> Iterator[Row]:
    """Share of the pages that enter the batch which LRU (exact, and from a sample of the pages) and MIN would have to
    load, by capacity. A page counts as used when it is created and when it enters; what runs is not pinned here."""
    stream, entered = lives_of(script)
    capacities = [max(1, int(share * pool_blocks)) for share in CAPACITIES]
    distances = reuse_distances(stream.tolist())
    curves = {"lru": miss_ratios(distances[entered], capacities)}
    curves["lru, sampled"] = sampled_miss_ratios(stream, capacities, SAMPLE, entered)
    curves["min"] = min_miss_ratios(stream.tolist(), capacities, entered)
    for name, curve in curves.items():
        for share, ratio in zip(CAPACITIES, curve.tolist(), strict=True):
            yield _row("miss_ratio", ratio, name, k=share)


def horizon_rows(probes: Iterable[HorizonProbe]) -> Iterator[Row]:
    """Recall and precision of each probe's plan at each horizon."""
    for probe in probes:
        for k, hits in probe.hits.items():
            yield _row("recall", hits.recall, probe.plan, k=k)
            yield _row("precision", hits.precision, probe.plan, k=k)
