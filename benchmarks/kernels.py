"""Speed of each kernel on a GPU beside its limit, over a few tunings; both measured in this run.

    python -P benchmarks/kernels.py [--out FILE]     (--tiny: toy sizes in Triton's interpreter prove the script)

-P keeps Python from taking a neighbour of this file for a package of the same name.

Times are medians over replays of a CUDA graph that goes round inputs of more than the cache. `share` is of the best
read-only streaming rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

if "--tiny" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

import torch
from torch.nn import functional

from pagedkv.device.facts import facts
from pagedkv.device.stream import streaming_rate
from pagedkv.geometry import BLOCK_TOKENS, Geometry, geometry
from pagedkv.model import kernels
from pagedkv.model.decoder import empty_pool
from pagedkv.model.kernels.decode import DecodeTuning
from pagedkv.model.kernels.linear import INVARIANT, LinearTuning, linear_invariant
from pagedkv.model.kernels.prefill import PrefillTuning
from pagedkv.model.kernels.slab import SlabTuning, linear_slab
from pagedkv.model.kernels.tuned import TABLE
from pagedkv.model.step import Rows

Row = dict[str, Any]
_SHOWN = 6
"""Variants of a case that are printed, the fastest ones; the file has all."""

DECODE = (
    DecodeTuning(tile=64, min_split=256, programs_per_sm=3, warps=4, stages=3),
    DecodeTuning(tile=64, min_split=128, programs_per_sm=3, warps=4, stages=3),
    DecodeTuning(tile=64, min_split=512, programs_per_sm=3, warps=4, stages=3),
    DecodeTuning(tile=64, min_split=256, programs_per_sm=2, warps=4, stages=4),
    DecodeTuning(tile=64, min_split=256, programs_per_sm=2, warps=8, stages=4),
    DecodeTuning(tile=32, min_split=256, programs_per_sm=4, warps=4, stages=4),
    DecodeTuning(tile=32, min_split=128, programs_per_sm=4, warps=2, stages=4),
    DecodeTuning(tile=32, min_split=256, programs_per_sm=5, warps=4, stages=3),
    DecodeTuning(tile=16, min_split=128, programs_per_sm=8, warps=1, stages=4),
    DecodeTuning(tile=128, min_split=256, programs_per_sm=1, warps=8, stages=3),
    DecodeTuning(tile=128, min_split=512, programs_per_sm=1, warps=8, stages=4),
)
PREFILL = (
    PrefillTuning(rows=128, tile=64, warps=8, stages=3),
    PrefillTuning(rows=64, tile=64, warps=4, stages=3),
    PrefillTuning(rows=128, tile=128, warps=8, stages=2),
    PrefillTuning(rows=128, tile=64, warps=8, stages=4),
)
INVARIANT_TILES = (
    INVARIANT,
    LinearTuning(rows=64, columns=32, depth=128, warps=4, stages=4),
    LinearTuning(rows=64, columns=128, depth=64, warps=4, stages=4),
    LinearTuning(rows=128, columns=128, depth=64, warps=8, stages=4),
    LinearTuning(rows=128, columns=256, depth=64, warps=8, stages=4),
)


@dataclass(frozen=True)
class Sizes:
    """What is measured. `beyond_cache`: bytes that a round of inputs has at least."""

    model: Geometry
    layers: int
    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    chunk: int
    rows: tuple[int, ...]
    beyond_cache: int
    device: str
    dtype: torch.dtype


REAL = Sizes(
    geometry("llama-3-8b"), 4, (1, 8, 64), (2048, 8192, 32768), 2048, (1, 64, 2048), 400_000_000, "cuda", torch.bfloat16
)
TINY = Sizes(geometry("tiny"), 2, (1, 3), (40, 200), 24, (1, 5), 1, "cpu", torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="of stream, decode, prefill, linear, invariant, small; with commas")
    arguments = parser.parse_args()
    sizes = TINY if arguments.tiny else REAL
    rate = streaming_rate(sizes.device)
    parts = {
        "stream": copy_rows, "decode": decode_rows, "prefill": prefill_rows, "linear": projection_rows,
        "invariant": invariant_rows, "small": small_rows,
    }  # fmt: skip
    rows: list[Row] = [{"what": "read-only streaming", "case": "", "gb_s": rate / 1e9, "share": 1.0}]
    for name, part in parts.items():
        if arguments.only is None or name in arguments.only.split(","):
            began = time.perf_counter()
            with torch.inference_mode():
                rows += part(sizes, rate)
            print(f"# {name}: {time.perf_counter() - began:.1f} s", file=sys.stderr)
    show(rows)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({"rows": rows, "provenance": facts(sizes.device)}, indent=1) + "\n")


def seconds(calls: Sequence[Callable[[], object]], replays: int = 7, at_least: int = 20) -> float:
    """Median time of one of `calls`, which are gone round at least once and `at_least` times in a graph."""
    for call in calls[:1]:
        call()
    if not torch.cuda.is_available():
        began = time.perf_counter()
        calls[-1]()
        return time.perf_counter() - began
    rounds = max(1, at_least // len(calls))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in list(calls) * rounds:
            call()
    times = []
    for _ in range(replays):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3 / (rounds * len(calls)))
    return statistics.median(times[2:])


def row(what: str, case: str, variant: object, took: float, moved: float, rate: float, **more: object) -> Row:
    return {
        "what": what, "case": case, "variant": label(variant),
        "us": took * 1e6, "gb_s": moved / took / 1e9, "share": moved / took / rate, **more,
    }  # fmt: skip


def label(variant: object) -> str:
    """A tuning as its numbers, in the order of its fields."""
    return variant if isinstance(variant, str) else "/".join(str(value) for value in vars(variant).values())


def copy_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    values = torch.randn(2**30 if sizes.device == "cuda" else 2**12, device=sizes.device)
    other = torch.empty_like(values)
    yield row("device copy, read + write", "", "", seconds([lambda: other.copy_(values)]), 2 * values.nbytes, rate)


def random_pool(sizes: Sizes, slots: int) -> torch.Tensor:
    """With fewer layers than the model: their number only spaces the blocks out."""
    pool = empty_pool(replace(sizes.model, layers=sizes.layers), slots, sizes.device, sizes.dtype)
    for part in pool.split(4096):
        part.normal_()
    return pool


def decode_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    shape = sizes.model
    largest = max(sizes.batches) * -(-max(sizes.contexts) // BLOCK_TOKENS)
    pool = random_pool(sizes, largest + 2)
    order = torch.randperm(largest, device=sizes.device).to(torch.int32) + 1
    for batch in sizes.batches:
        q = torch.randn(batch, shape.heads, shape.head_dim, device=sizes.device, dtype=sizes.dtype)
        out = torch.empty_like(q)
        for context in sizes.contexts:
            moved = batch * context * shape.token_bytes // shape.layers
            blocks = -(-context // BLOCK_TOKENS)
            lengths = torch.full((batch,), context, dtype=torch.int32, device=sizes.device)
            sets = min(-(-sizes.beyond_cache // (moved * sizes.layers)), largest // (batch * blocks))
            inputs = [
                (layer, order[number * batch * blocks :][: batch * blocks].view(batch, blocks))
                for number in range(sets) for layer in range(sizes.layers)
            ]  # fmt: skip
            for tuning in DECODE:
                calls = [
                    partial(kernels.paged_decode, q, pool, layer, tables, lengths, out, tuning)
                    for layer, tables in inputs
                ]
                took = seconds(calls, at_least=4 if moved > 1e9 else 20)
                yield row("decode", f"{batch} x {context}", tuning, took, moved, rate)


def prefill_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    shape, chunk = sizes.model, sizes.chunk
    for context in (chunk, 8 * chunk):
        blocks = -(-context // BLOCK_TOKENS)
        pool = random_pool(sizes, blocks + 1)
        table = (torch.randperm(blocks) + 1).tolist()
        rows = Rows.of([chunk], [context], [table], sizes.device)
        q = torch.randn(chunk, shape.heads, shape.head_dim, device=sizes.device, dtype=sizes.dtype)
        out = torch.empty_like(q)
        work = 4 * shape.heads * shape.head_dim * sum(range(context - chunk + 1, context + 1))
        for tuning in PREFILL:
            calls = [partial(kernels.paged_prefill, q, pool, n, rows, out, tuning) for n in range(sizes.layers)]
            took = seconds(calls, at_least=4)
            yield row("prefill", f"{chunk} of {context}", tuning, took, q.nbytes * 2, rate, tflop_s=work / took / 1e12)


def projections(shape: Geometry) -> dict[str, tuple[int, int, int]]:
    """Columns, k and number a step of each product."""
    width = shape.heads * shape.head_dim
    return {
        "qkv": (width + 2 * shape.kv_heads * shape.head_dim, shape.hidden, shape.layers),
        "attention_out": (shape.hidden, width, shape.layers),
        "gate_up": (2 * shape.intermediate, shape.hidden, shape.layers),
        "down": (shape.hidden, shape.intermediate, shape.layers),
        "head": (shape.vocabulary, shape.hidden, 1),
    }


def weights_beyond_cache(sizes: Sizes, columns: int, k: int) -> list[torch.Tensor]:
    copies = -(-sizes.beyond_cache // (columns * k * 2))
    return [torch.randn(columns, k, device=sizes.device, dtype=sizes.dtype) for _ in range(copies)]


def projection_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    """A last row a batch: the time of all products of a step, by the library and by the table of tunings."""
    totals = {entry.rows: [0.0, 0.0, 0.0] for entry in TABLE}
    for name, (columns, k, number) in projections(sizes.model).items():
        weights = weights_beyond_cache(sizes, columns, k)
        for entry in TABLE:
            x = torch.randn(entry.rows, k, device=sizes.device, dtype=sizes.dtype)
            found = []
            for tuning in ("F.linear", getattr(entry, name)):
                found.append(seconds([partial(product, x, weight, tuning, name == "gate_up") for weight in weights]))
                yield row("linear", f"{name} x {entry.rows}", tuning, found[-1], weights[0].nbytes, rate)
            added = number * found[0], number * found[1], number * weights[0].nbytes
            totals[entry.rows] = [total + more for total, more in zip(totals[entry.rows], added, strict=True)]
    for count, (library, ours, moved) in totals.items():
        yield row("linear", f"step x {count}", "F.linear", library, moved, rate)
        yield row("linear", f"step x {count}", "the table's", ours, moved, rate)


def product(
    x: torch.Tensor, weight: torch.Tensor, tuning: str | LinearTuning | SlabTuning, gated: bool = False
) -> torch.Tensor:
    """Of gates and ups, with the activation that follows."""
    if isinstance(tuning, SlabTuning):
        return linear_slab(x, weight, tuning, gated)
    result = functional.linear(x, weight) if isinstance(tuning, str) else linear_invariant(x, weight, tuning)
    return kernels.silu_mul(result) if gated else result


def invariant_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    """`same_bits`: as the first tiling, whole and row 0 alone."""
    columns, k, _ = projections(sizes.model)["gate_up"]
    weights = weights_beyond_cache(sizes, columns, k)
    for count in sizes.rows:
        x = torch.randn(count, k, device=sizes.device, dtype=sizes.dtype)
        first = linear_invariant(x, weights[0])
        for tuning in ("F.linear", *INVARIANT_TILES):
            calls = [partial(product, x, weight, tuning) for weight in weights]
            took = seconds(calls, at_least=6)
            same = torch.equal(calls[0](), first) and torch.equal(product(x[:1], weights[0], tuning), first[:1])
            more = {"tflop_s": 2 * count * columns * k / took / 1e12, "same_bits": same}
            yield row("invariant", f"gate_up x {count}", tuning, took, weights[0].nbytes, rate, **more)


def small_rows(sizes: Sizes, rate: float) -> Iterator[Row]:
    shape = sizes.model
    pool = random_pool(sizes, max(sizes.rows) // BLOCK_TOKENS + 2)
    cos_sin = torch.randn(max(sizes.rows), shape.head_dim, device=sizes.device)
    weight = torch.randn(shape.hidden, device=sizes.device, dtype=sizes.dtype)
    for tokens in sizes.rows:
        place = torch.arange(tokens, dtype=torch.int32, device=sizes.device)
        places = place, place // BLOCK_TOKENS + 1, place % BLOCK_TOKENS

        xs = activations(sizes, tokens, shape.hidden)
        pairs = zip(xs, [*xs[1:], xs[0]], strict=True)
        took = seconds([partial(kernels.rms_norm, x, weight, 1e-5, residual) for x, residual in pairs])
        yield row("rms_norm", f"{tokens}", "", took, 4 * xs[0].nbytes, rate)

        xs = activations(sizes, tokens, 2 * shape.intermediate)
        took = seconds([partial(kernels.silu_mul, x) for x in xs])
        yield row("silu_mul", f"{tokens}", "", took, 1.5 * xs[0].nbytes, rate)

        xs = activations(sizes, tokens, (shape.heads + 2 * shape.kv_heads) * shape.head_dim)
        after = *places, pool, 1, None, None, 1e-5
        took = seconds([partial(kernels.write_kv_rope, x, cos_sin, *after) for x in xs])
        yield row("write_kv_rope", f"{tokens}", "", took, 2 * xs[0].nbytes, rate)


def activations(sizes: Sizes, tokens: int, columns: int) -> list[torch.Tensor]:
    """As many as exceed the cache, but for a few tokens: their inputs do come from the cache in a step, too."""
    copies = min(24, -(-sizes.beyond_cache // (tokens * columns * 2)))
    return [torch.randn(tokens, columns, device=sizes.device, dtype=sizes.dtype) for _ in range(copies)]


def show(rows: Sequence[Row]) -> None:
    """A line a variant, the fastest first."""
    for one in rows:
        if one["what"] not in ("decode", "linear", "prefill", "invariant"):
            time_us = f"{one['us']:9.1f} us" if "us" in one else ""
            print(f"{one['what']:26} {one['case']:>6} {time_us} {one['gb_s']:7.0f} GB/s {one['share']:6.1%}")
    for what in ("decode", "prefill", "linear", "invariant"):
        for case in dict.fromkeys(one["case"] for one in rows if one["what"] == what):
            found = [one for one in rows if (one["what"], one["case"]) == (what, case)]
            print(f"{what} {case}")
            for one in sorted(found, key=lambda one: one["us"])[:_SHOWN]:
                rate = f"{one['tflop_s']:5.0f} TFLOP/s" if "tflop_s" in one else f"{one['gb_s']:5.0f} GB/s"
                bits = "" if one.get("same_bits", True) else "  other bits"
                print(f"  {one['variant']:22} {one['us']:9.1f} us {rate} {one['share']:4.0%}{bits}")


if __name__ == "__main__":
    main()
