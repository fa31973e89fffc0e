"""This engine and vLLM side by side on one GPU, each in its own process, on the same requests.

    python benchmarks/vllm.py [--vllm FOLDER] [--out FILE]     (proven by --device cpu --model tiny --sides ours)

`--vllm`: folder with vLLM and what it needs, where Python does not find them by itself.

- decode: the time from one step to the next while the whole batch decodes, and what the host does of it: all of it, and
  what scheduling takes, block management included;
- time to the first token of a prompt that the engine has never seen (miss), still has on the GPU (gpu), or has in host
  memory only (host), with vLLM's native offloading. Both are timed from when the scheduler hears of the request: before
  that vLLM checks its prompt and hashes its blocks, which are given to ours, and which has rows of its own.

Every row has both engines and the ratio of ours to vLLM's: below 1 ours is the faster one.
"""

# ruff: noqa: E402  # what the path hides has to go before anything is imported
from __future__ import annotations

import sys
from pathlib import Path

# A script's folder is searched first, where vllm.py and cuda.py would hide the packages of these names.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pagedkv.device.calibration import read_calibration
from pagedkv.device.facts import facts
from pagedkv.geometry import BLOCK_TOKENS, geometry
from pagedkv.vllm.found import found as version
from pagedkv.workload.prefixes import IdSource
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable
from pagedkv.workload.tokens import known_tokens

PIECE_TOKENS = 512

Rows = dict[str, float]
"""What was measured -> its value; the unit is in the name."""


@dataclass(frozen=True)
class Load:
    """What both engines are asked. Tokens, blocks of 16 tokens."""

    pool_blocks: int = 9216
    host_blocks: int = 16384
    batches: tuple[int, ...] = (64, 1)
    context_tokens: int = 2048
    decode_tokens: int = 128
    prompts_tokens: tuple[int, ...] = (8192, 16384, 30000)
    filler_tokens: int = 16384
    question_tokens: int = 64
    repetitions: int = 5

    @property
    def fillers(self) -> int:
        """Prompts that together push everything older out of the pool."""
        return -(-self.pool_blocks * BLOCK_TOKENS * 9 // 8 // self.filler_tokens)


SMALL = Load(128, 1024, (4, 1), 64, 16, (512, 1024), 512, 16, 2)


def decode_table(load: Load, batch: int) -> RequestTable:
    """`batch` private requests that arrive together and then only decode."""
    turn = Turn(0.0, load.context_tokens - load.decode_tokens // 2, load.decode_tokens)
    return assemble([Session(0.0, [turn]) for _ in range(batch)], f"decode-{batch}", 0, {})


def prompts_table(load: Load) -> tuple[RequestTable, list[tuple[str, int]]]:
    """One client that asks one prompt after the other; and of each what it finds (or that it fills), and its tokens."""
    ids, turns, asked = IdSource(), [], []

    def ask(document: np.ndarray, tokens: int, found: str) -> None:
        turns.append(Turn(0.0, tokens + load.question_tokens, 1, tokens, document))
        asked.append((found, tokens))

    def new(tokens: int) -> np.ndarray:
        return ids.take(-(-tokens // PIECE_TOKENS))

    for _ in range(load.repetitions):
        documents = [(new(tokens), tokens) for tokens in load.prompts_tokens]
        for found in ("miss", "gpu"):
            for document, tokens in documents:
                ask(document, tokens, found)
        for _ in range(load.fillers):
            ask(new(load.filler_tokens), load.filler_tokens, "filler")
        for document, tokens in documents:
            ask(document, tokens, "host")
    return assemble([Session(0.0, turns)], "prompts", PIECE_TOKENS, {}), asked


def first_token_rows(seconds: list[float], asked: list[tuple[str, int]]) -> Rows:
    """Median time to the first token, by what a prompt found and how long it was; the first of each kind warms up."""
    taken: dict[tuple[str, int], list[float]] = {}
    for key, value in zip(asked, seconds, strict=True):
        taken.setdefault(key, []).append(value)
    return {
        f"first token ms, {tokens} tokens, {found}": 1e3 * statistics.median(values[1:])
        for (found, tokens), values in taken.items()
        if found != "filler"
    }


# ------------------------------------------------------------ this engine
def ours(load: Load, where: str, model: str) -> Rows:
    """The engine on the device, closed loop, demand loading."""
    import torch

    from pagedkv.device.cost import ComputeCost
    from pagedkv.device.machine import Machine
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.metric.cases import Case
    from pagedkv.metric.machine_runs import machine_settings, record_on
    from pagedkv.trace.schema import Event

    costs = read_calibration("recorded/calibration/calibration.json")
    if where == "cpu":
        # The measured costs are those of another machine and model; here only the path is proven.
        costs = replace(costs, compute=ComputeCost(1e11, 1e13, 0.0))
    engine = EngineSettings(load.pool_blocks, load.host_blocks, max(load.batches), preemption="recompute")
    prompts, asked = prompts_table(load)
    rows: Rows = {}
    with Machine(geometry(model), machine_settings(where, prompts, engine, seed=1)) as machine:
        for batch in load.batches:
            trace = record_on(machine, decode_table(load, batch), "decode", engine, costs, Case("none"))
            steps, evidence = trace.steps, trace.header["evidence"]
            whole = (steps["prefill_tokens"] == 0) & (steps["decode_tokens"] == batch)
            between = np.diff(steps["start_us"])[whole[:-1] & whole[1:]]
            rows[f"decode step ms, batch {batch}"] = float(np.median(between)) / 1e3
            rows[f"host us a step, batch {batch}"] = evidence["host_us_p50"]
            scheduling = evidence["host_decide_us_p50"] + evidence["host_behind_us_p50"]
            rows[f"scheduling us a step, batch {batch}"] = scheduling
        trace = record_on(machine, prompts, "prompts", engine, costs, Case("none"))
    if where == "cuda":
        torch.cuda.empty_cache()
    events, arrived = (
        trace.events,
        dict(zip(*(trace.requests[name].tolist() for name in ("request", "arrival_us")), strict=True)),
    )
    finish = events["kind"] == int(Event.FINISH)
    # One token is asked for, so that the first one is the last.
    ended = zip(events["request"][finish].tolist(), events["time_us"][finish].tolist(), strict=True)
    seconds = [(end - arrived[request]) * 1e-6 for request, end in sorted(ended)]
    return rows | first_token_rows(seconds, asked)


# ------------------------------------------------------------ vLLM
def theirs(load: Load, model: str) -> Rows:
    """vLLM in this process: CUDA graphs for decode, prefix caching, native offloading to host memory."""
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.vllm.attach import scheduler_of
    from pagedkv.vllm.live import open_llm
    from pagedkv.vllm.settings import VllmSettings

    shape = geometry(model)
    prompts, asked = prompts_table(load)
    longest = 2 * max(load.prompts_tokens)
    engine = EngineSettings(
        load.pool_blocks, load.host_blocks, max(load.batches), max_model_len=longest, preemption="recompute"
    )
    # As a server has it by default.
    settings = VllmSettings(async_scheduling=True, offload="lru")
    folder = tempfile.TemporaryDirectory()  # gone with this process, which is only here for this
    llm = open_llm(shape, engine, settings, Path(folder.name))
    from vllm import SamplingParams

    scheduler_of(llm)  # says why if it cannot be watched
    core = llm.llm_engine.engine_core.engine_core

    def ask(table: RequestTable, row: int) -> dict[str, list[int]]:
        return {"prompt_token_ids": known_tokens(table, row, shape.vocabulary).tolist()}

    rows: Rows = {}
    greedy = {"temperature": 0.0, "ignore_eos": True, "detokenize": False}
    for batch in load.batches:
        table = decode_table(load, batch)
        sampling = SamplingParams(max_tokens=load.decode_tokens, **greedy)
        with watched(core) as watch:
            llm.generate([ask(table, row) for row in range(batch)], sampling, use_tqdm=False)
        whole = [step for step in watch.steps if step.tokens == step.requests == batch]
        starts = np.array([step.start_s for step in whole])
        rows[f"decode step ms, batch {batch}"] = float(np.median(np.diff(starts))) * 1e3
        scheduling = np.array([step.scheduling_s for step in whole]) * 1e6
        model = np.array([step.model_s for step in whole]) * 1e6
        rows[f"host us a step, batch {batch}"] = float(np.median(scheduling + model))
        rows[f"scheduling us a step, batch {batch}"] = float(np.median(scheduling))
    sampling, seconds, before = SamplingParams(max_tokens=1, **greedy), [], []
    with watched(core) as watch:
        for row in range(len(prompts)):
            prompt = ask(prompts, row)
            began = time.perf_counter()
            llm.generate([prompt], sampling, use_tqdm=False)
            seconds.append(time.perf_counter() - watch.arrived_s)
            before.append(watch.arrived_s - began)
    rows |= first_token_rows(seconds, asked)
    misses = [(each, before_s) for each, before_s in zip(asked, before, strict=True) if each[0] == "miss"]
    for name, value in first_token_rows([before_s for _, before_s in misses], [each for each, _ in misses]).items():
        rows[name.replace("first token", "before the scheduler").removesuffix(", miss")] = value
    return rows


@dataclass
class Watched:
    """One step of vLLM: when it was scheduled, for what, and how long the host was in scheduler and model runner."""

    start_s: float
    requests: int
    tokens: int
    scheduling_s: float
    model_s: float = 0.0


@dataclass
class Watch:
    """What is seen of an engine core: its steps, and when its scheduler heard of the last request."""

    steps: list[Watched]
    arrived_s: float = 0.0


@contextmanager
def watched(core: Any) -> Iterator[Watch]:
    """Times the calls of a live engine core. An update is of the oldest step that has none yet, as steps are queued."""
    watch, scheduler, executor = Watch([]), core.scheduler, core.model_executor
    schedule, update, add = scheduler.schedule, scheduler.update_from_output, scheduler.add_request
    updated = 0

    def timed_add(request: Any) -> None:
        watch.arrived_s = time.perf_counter()
        add(request)

    def timed_schedule(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        output = schedule(*arguments, **named)
        tokens = output.num_scheduled_tokens
        watch.steps.append(Watched(began, len(tokens), sum(tokens.values()), time.perf_counter() - began))
        return output

    def timed_update(*arguments: Any, **named: Any) -> Any:
        nonlocal updated
        began = time.perf_counter()
        result = update(*arguments, **named)
        watch.steps[updated].scheduling_s += time.perf_counter() - began
        updated += 1
        return result

    def timed_call(call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            result = call(*arguments, **named)
            watch.steps[-1].model_s += time.perf_counter() - began
            return result

        return timed

    scheduler.schedule, scheduler.update_from_output, scheduler.add_request = timed_schedule, timed_update, timed_add
    calls = executor.execute_model, executor.sample_tokens
    executor.execute_model, executor.sample_tokens = map(timed_call, calls)
    try:
        yield watch
    finally:
        scheduler.schedule, scheduler.update_from_output, scheduler.add_request = schedule, update, add
        executor.execute_model, executor.sample_tokens = calls


# ------------------------------------------------------------ side by side
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--model", default="llama-3-8b")
    parser.add_argument("--sides", nargs="+", choices=["ours", "vllm"], default=["ours", "vllm"])
    parser.add_argument("--vllm", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--join", nargs=2, type=Path, metavar="FILE", help="two files, each of one side, as one")
    parser.add_argument("--only", choices=["ours", "vllm"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    load = Load() if arguments.device == "cuda" else SMALL
    if arguments.only:
        side = (
            ours(load, arguments.device, arguments.model) if arguments.only == "ours" else theirs(load, arguments.model)
        )
        arguments.out.write_text(json.dumps({"rows": side, "vllm": version() if arguments.only == "vllm" else None}))
        return
    if arguments.join:
        _write(arguments.out, *_joined(*(json.loads(path.read_text()) for path in arguments.join)))
        return
    sides = {side: _in_its_own_process(side, arguments) for side in arguments.sides}
    found = {side: made["rows"] for side, made in sides.items()}
    measured = dict.fromkeys(what for side in sorted(found) for what in found[side])
    rows = [_row(what, {side: values.get(what) for side, values in found.items()}) for what in measured]
    for row in rows:
        print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else str(value) for key, value in row.items()))
    if arguments.out:
        provenance = {"model": arguments.model, "load": asdict(load), **facts(arguments.device)}
        provenance["versions"]["vllm"] = sides.get("vllm", {}).get("vllm")
        _write(arguments.out, rows, provenance)


def _write(out: Path, rows: list[dict[str, Any]], provenance: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"rows": rows, "provenance": provenance}, indent=1) + "\n")


def _joined(one: dict[str, Any], other: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of two files side by side; of what both say of themselves, the first one's, and when each was recorded."""
    sides: dict[str, dict[str, float]] = {}
    for row in [*one["rows"], *other["rows"]]:
        values = {side: row[side] for side in ("ours", "vllm") if row.get(side) is not None}
        sides[row["what"]] = sides.get(row["what"], {}) | values
    recorded_at = [each["provenance"]["recorded_at"] for each in (one, other)]
    return [_row(what, values) for what, values in sides.items()], one["provenance"] | {"recorded_at": recorded_at}


def _in_its_own_process(side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Two engines do not fit one GPU, so that each has it for itself."""
    paths = [str(arguments.vllm.resolve())] if side == "vllm" and arguments.vllm else []
    path = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "side.json"
        command = [sys.executable, __file__, "--only", side, "--out", str(out)]
        command += ["--device", arguments.device, "--model", arguments.model]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
        return json.loads(out.read_text())


def _row(what: str, sides: dict[str, float | None]) -> dict[str, Any]:
    ratio = sides["ours"] / sides["vllm"] if sides.get("ours") and sides.get("vllm") else None
    return {"what": what, **sides, "ratio": ratio}


if __name__ == "__main__":
    main()
