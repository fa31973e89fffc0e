"""All figures of predictability of one trace, as rows (measure, stream, context, k, value)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.engine.managed import Mappings
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
from pagedkv.predict.streams import Pages, entering, pages_of, slots_of
from pagedkv.predict.topk import TopK

MOST_SYMBOLS = 20_000
"""A stream is coded up to here: what is learned later changes the rate little, and time grows with length."""
CAPACITIES = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Capacities of the miss-ratio curves, as shares of the pool."""
SAMPLE = 0.1

Row = dict[str, Any]
Progress = Callable[[str], None]


def _row(measure: str, value: float, stream: str = "", context: str = "", k: float = math.nan) -> Row:
    return {"measure": measure, "stream": stream, "context": context, "k": k, "value": float(value)}


def stream_rows(
    script: Script,
    loaded: list[tuple[int, np.ndarray]],
    mappings: Mapping[str, Mappings],
    progress: Progress = lambda text: None,
) -> Iterator[Row]:
    """Entropy, compressibility and Lempel-Ziv rate of the page streams.

    `loaded`: demand loads of `none` under LRU, the faults. `mappings`: name of an address space -> who has which slot.
    """
    faults, accesses = pages_of(script, loaded), pages_of(script)
    yield _row("pages", len(faults), "faults")
    yield _row("pages", len(accesses), "accesses")
    short, all_short = faults.first(MOST_SYMBOLS), accesses.first(MOST_SYMBOLS)
    addresses = {name: slots_of(faults, slots) for name, slots in mappings.items()}
    for order in ORDERS:
        progress(f"entropy, order {order}")
        for name, space in addresses.items():
            yield _row("entropy_bits", address_bits(space[: len(short)], order), name, f"order {order}")
        yield _row("entropy_bits", logical_bits(short, order), "logical", f"order {order}")
        yield _row("entropy_bits", logical_bits(all_short, order), "logical, all accesses", f"order {order}")
    progress("compression and Lempel-Ziv")
    for name, stream in _numbered(faults, addresses).items():
        yield _row("compressed_bits", compressed_bits(stream), name)
        lengths = match_lengths(np.diff(stream[:MOST_SYMBOLS], prepend=0).tolist())
        rate = lempel_ziv_bits(lengths)
        yield _row("lempel_ziv_bits", rate, name)
        yield _row("lempel_ziv_mean_bits", lempel_ziv_mean_bits(lengths), name)
        yield _row("fano_accuracy", fano_accuracy(rate, max(2, len(np.unique(stream)))), name)


def _numbered(faults: Pages, addresses: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each stream as numbers; a logical id is request times the longest table plus block."""
    longest = int(faults.block.max()) + 1 if len(faults) else 1
    return {**addresses, "logical": faults.request * longest + faults.block}


def schedule_rows(script: Script, quantum_steps: int | None) -> Iterator[Row]:
    """The split H(pages) = H(schedule) + H(pages | schedule), in bits a page that enters; and of top-k attention."""
    entries = entering(script)
    pages = max(1, sum(entry.blocks for entry in entries))
    known = schedule_bits(entries, script.steps)
    gaps = np.diff([entry.step for entry in entries], prepend=0).tolist()
    # On a rotation the plan has times: entries of one turn come together, turns a quantum apart.
    planned = [None if quantum_steps is None else (0 if gap == 0 else quantum_steps) for gap in gaps]
    queue = queue_bits(entries, script.steps, planned)
    for level, bits in (("I3", known), ("I4", queue)):
        yield _row("schedule_bits", bits.who / pages, "who", level)
        yield _row("schedule_bits", bits.when / pages, "when", level)
    yield _row("schedule_bits", 0.0, "who", "I5")
    yield _row("schedule_bits", 0.0, "when", "I5")
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
    """Miss ratio of LRU (exact, and from a sample of the pages) and MIN, over the pages that enter the batch."""
    stream = pages_of(script).content
    capacities = [max(1, int(share * pool_blocks)) for share in CAPACITIES]
    distances = reuse_distances(stream.tolist())
    curves = {"lru": miss_ratios(distances, capacities)}
    curves["lru, sampled"] = sampled_miss_ratios(stream, capacities, SAMPLE)
    curves["min"] = min_miss_ratios(stream.tolist(), capacities)
    for name, curve in curves.items():
        for share, ratio in zip(CAPACITIES, curve.tolist(), strict=True):
            yield _row("miss_ratio", ratio, name, k=share)
    warm = distances[distances >= 0]
    for quantile in (50, 90):
        value = float(np.percentile(warm, quantile)) if len(warm) else math.nan
        yield _row("reuse_distance_pages", value, f"p{quantile}")


def horizon_rows(probes: Iterable[HorizonProbe]) -> Iterator[Row]:
    """Recall and precision of each probe's plan at each horizon."""
    for probe in probes:
        for k, hits in probe.hits.items():
            yield _row("recall", hits.recall, probe.plan, k=k)
            yield _row("precision", hits.precision, probe.plan, k=k)
