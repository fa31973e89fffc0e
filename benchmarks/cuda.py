"""Speed of the engine on a GPU: every figure beside its limit, both measured in this run.

    python benchmarks/cuda.py [--model llama-3-8b] [--out FILE]     (--device cpu --model tiny proves the script)

- swap-in: scattered blocks by batched DMA against one large pinned copy; how much a decode slows down meanwhile.
- decode step at a context of 2,048 tokens against (weights + KV) over the best read-only streaming rate.
- decode attention alone, at long contexts, against the same rate.
- host: what the engine does on the CPU for each step of a batch of 64.
"""

# ruff: noqa: E402  # what the path hides has to go before anything is imported
from __future__ import annotations

import sys
from pathlib import Path

# A script's folder is searched first, where cuda.py would hide the package of that name from torch.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pagedkv.device.calibration import read_calibration
from pagedkv.device.cost import ComputeCost
from pagedkv.device.facts import facts
from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.device.points import CHECK, StepPoint
from pagedkv.device.steps import Standing
from pagedkv.device.stream import streaming_rate
from pagedkv.device.timeline import Timeline
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry, geometry
from pagedkv.metric.cases import Case
from pagedkv.metric.machine_runs import record_on
from pagedkv.model.operations import Operations
from pagedkv.workload.sessions import Session, Turn, assemble

VLLM_MS = {64: 9.46, 1: 5.03}
"""vLLM 0.26 with CUDA graphs, same model shape, context and kind of card: measured by the project before."""
BARS = {64: 1.20, 1: 1.25}
LONG = ((32, 8192), (4, 32768))
"""Batches and contexts at which attention is timed alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--model", default="llama-3-8b")
    parser.add_argument("--calibration", default="recorded/calibration/calibration.json")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    small = arguments.device == "cpu"
    shape = geometry(arguments.model)
    context, batch, blocks = (128, 8, 32) if small else (2048, 64, 512)
    settings = MachineSettings(
        where=arguments.device,
        pool_blocks=1 + 2 * batch * (context + 512) // BLOCK_TOKENS + 2 * blocks,
        host_blocks=batch * context // BLOCK_TOKENS,
        max_batch=batch,
        max_tokens=256 if small else 2048,
        max_positions=2 * context,
    )
    rate = streaming_rate(arguments.device)
    print(f"read-only streaming: {rate / 1e9:,.0f} GB/s")
    with Machine(shape, settings) as machine:
        rows = [{"what": "streaming", "gb_s": rate / 1e9}]
        rows += decode_rows(machine, shape, rate, context, (batch, 8, 1))
        rows += attention_rows(machine, rate, ((4, 128), (1, 512)) if small else LONG)
        rows += swap_rows(machine, context, batch // 2, blocks)
        rows.append(host_row(machine, arguments.calibration, batch, context))
    for row in rows:
        texts = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print("  ".join(texts))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        found = {"rows": rows, "provenance": {"model": shape.name, **facts(arguments.device)}}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def decode_rows(
    machine: Machine, shape: Geometry, rate: float, context: int, batches: tuple[int, ...]
) -> Iterator[dict[str, Any]]:
    """Decode steps against the time in which their bytes stream once."""
    for batch in batches:
        standing = _decode(machine, batch, context)
        times = [standing.step() for _ in range(60)][10:]
        step_s = statistics.median(time.total_s for time in times)
        gpu_s = statistics.median(time.gpu_s for time in times)
        moved = shape.weight_bytes + batch * context * shape.token_bytes
        floor_s = moved / rate
        yield {
            "what": f"decode step, batch {batch}, context {context}",
            "ms": step_s * 1e3,
            "gpu_ms": gpu_s * 1e3,
            "gb_s": moved / step_s / 1e9,
            "share_of_rate": floor_s / step_s,
            "over_floor": step_s / floor_s,
            "bar": BARS.get(batch, float("nan")),
            "vllm_ms": VLLM_MS.get(batch, float("nan")),
        }


def attention_rows(machine: Machine, rate: float, cases: tuple[tuple[int, int], ...]) -> Iterator[dict[str, Any]]:
    """Attention of every layer in turn, whose KV exceeds the cache by far, over scattered blocks of the pool."""
    shape, where = machine.geometry, machine.where
    attend = Operations.choose(where).paged_decode
    for batch, context in cases:
        blocks = context // BLOCK_TOKENS
        slots = 1 + torch.randperm(machine.settings.pool_blocks - 1)[: batch * blocks]
        tables = slots.to(where, torch.int32).view(batch, blocks)
        lengths = torch.full((batch,), context, dtype=torch.int32, device=where)
        q = torch.randn(batch, shape.heads, shape.head_dim, dtype=machine.pool.dtype, device=where)
        out = torch.empty_like(q)

        def layers(about: tuple = (tables, lengths, out), q: torch.Tensor = q) -> None:
            for layer in range(shape.layers):
                attend(q, machine.pool, layer, *about)

        layer_s = _seconds(machine, layers) / shape.layers
        moved = batch * context * shape.token_bytes / shape.layers
        yield {
            "what": f"decode attention, batch {batch}, context {context}",
            "us": layer_s * 1e6,
            "gb_s": moved / layer_s / 1e9,
            "share_of_rate": moved / layer_s / rate,
            "bar": 0.85,
        }


def swap_rows(machine: Machine, context: int, batch: int, blocks: int) -> Iterator[dict[str, Any]]:
    """Swap-in of scattered blocks, alone and beside a decode that goes on; the large copy of the same size."""
    copies, random = machine.copies[0], np.random.default_rng(1)
    # Slots that the decode does not read, and any places in host memory.
    slots = machine.settings.pool_blocks - 1 - random.permutation(2 * blocks)[:blocks]
    places = random.permutation(machine.host.blocks)[:blocks]
    size = blocks * machine.host.block_bytes

    def seconds(gpu: np.ndarray, host: np.ndarray) -> float:
        copy = copies.submit(gpu, host)
        copy.wait()
        return copy.seconds

    first = machine.settings.pool_blocks - blocks
    large_s = statistics.median(seconds(np.arange(first, first + blocks), np.arange(blocks)) for _ in range(10))
    alone_s = statistics.median(seconds(slots, places) for _ in range(10))
    standing = _decode(machine, batch, context)
    before = [standing.step().total_s for _ in range(40)]
    copied, during = [], []
    for _ in range(4):
        flying = [copies.submit(slots, places) for _ in range(8)]
        while not flying[-1].done():
            during.append(standing.step().total_s)
        copied += [copy.seconds for copy in flying]
    after = [standing.step().total_s for _ in range(40)]
    decode_s, beside_s = statistics.median(before + after), statistics.median(during or before)
    yield {
        "what": f"swap-in of {blocks} scattered blocks",
        "gb_s": size / alone_s / 1e9,
        "large_copy_gb_s": size / large_s / 1e9,
        "share_of_large": large_s / alone_s,
        "bar": 0.95,
    }
    yield {
        "what": f"swap-in beside decode, batch {batch}",
        "gb_s": size / statistics.median(copied) / 1e9,
        "share_of_large": large_s / statistics.median(copied),
        "decode_ms": decode_s * 1e3,
        "beside_ms": beside_s * 1e3,
        "slow_down": beside_s / decode_s - 1.0,
        "bar": 0.03,
        "steps": len(during),
    }


def host_row(machine: Machine, calibration: str, batch: int, context: int) -> dict[str, Any]:
    """The whole engine on a batch that decodes: what the host does for each step."""
    turns = [Session(0.0, [Turn(0.0, context // 2 + number % 16, context // 4)]) for number in range(batch)]
    table = assemble(turns, "host", 0, {})
    engine = EngineSettings(
        pool_blocks=machine.settings.pool_blocks,
        host_blocks=machine.settings.host_blocks,
        max_num_seqs=batch,
        max_num_batched_tokens=machine.settings.max_tokens,
    )
    began = time.perf_counter()
    costs = read_calibration(calibration)
    if machine.where.type == "cpu":
        # The measured costs are those of another model; here only the path is proven.
        costs = replace(costs, compute=ComputeCost(1e11, 1e13, 0.0))
    trace = record_on(machine, table, "host", engine, costs, Case("none"))
    evidence, steps = trace.header["evidence"], len(trace.steps["step"])
    return {
        "what": f"host work a step, batch {batch}",
        "us_p50": evidence["host_us_p50"],
        "us_p99": evidence["host_us_p99"],
        **{key: evidence[key] for key in ("host_decide_us_p50", "host_launch_us_p50", "host_behind_us_p50")},
        "bar": 200.0,
        "vllm_us": 791.0,
        "steps": steps,
        "wall_s": time.perf_counter() - began,
    }


def _seconds(machine: Machine, call: Callable[[], None]) -> float:
    """Median time of a call on the device; on a GPU as a graph, so that no launch is in it."""
    call()
    machine.settle()
    if machine.where.type == "cuda":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        call = graph.replay
    timeline, times = Timeline(machine.where), []
    for _ in range(12):
        begin = timeline.mark()
        call()
        end = timeline.mark()
        end.synchronize()
        times.append(timeline.between(begin, end))
    return statistics.median(times[2:])


def _decode(machine: Machine, batch: int, context: int) -> Standing:
    return Standing(machine, StepPoint("decode", ((1, context - 30),) * batch, CHECK))


if __name__ == "__main__":
    main()
