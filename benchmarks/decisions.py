"""What a decision of each prefetch policy costs on the scheduler's thread, and what a replay with it costs.

    ./lab python benchmarks/decisions.py [--steps N] [--weights FILE] [--out recorded/benchmarks/decisions.json]

Plays every policy of the leaderboard with its first parameters on every scenario of the leaderboard, one core, and
times each call: making the view, `propose`, `hints`, and queueing the answer. `us_per_step` spreads the calls over all
steps. `times_none` is the CPU time of the whole replay over that of `none`: what a policy costs somebody who simulates
it. The build charges `us_per_call` as a constant (`pagedkv metrics --decisions`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common

from pagedkv import config, trace
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.memory import StepMemory
from pagedkv.metric.cases import Case, addresses_of
from pagedkv.metric.compare import with_weights
from pagedkv.metric.leaderboard import grid_points
from pagedkv.metric.replay import TraceRuns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="beginning of each trace that is played")
    parser.add_argument("--traces", type=Path, default=Path("recorded/traces"))
    parser.add_argument("--weights", type=Path, help="what `pagedkv train-lstm` wrote; without it lstm is left out")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    common.one_core()
    loaded = config.load()
    rows = []
    for scenario in loaded["leaderboard"]["scenarios"]:
        settings = config.leaderboard_settings(loaded, scenario)
        runs = TraceRuns(
            trace.read(arguments.traces / f"{scenario}.kvtrace"),
            "",
            read_calibration(settings["calibration"]),
            settings,
        )
        policies = with_weights(settings["leaderboard"], arguments.weights)["policies"]
        for row in scenario_rows(runs, policies, scenario, arguments.steps):
            print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()), flush=True)
            rows.append(row)
    if arguments.out:
        common.write_rows(arguments.out, rows, {"traces": str(arguments.traces), "steps": arguments.steps})


def scenario_rows(
    runs: TraceRuns, entries: list[dict[str, Any]], scenario: str, steps: int
) -> Iterator[dict[str, Any]]:
    """A row for each policy and addressing."""
    runs.script(steps)  # made once, not timed
    none_s, _ = _timed(runs, Case("none", steps=steps))
    for entry in entries:
        params = grid_points(entry)[0] if "grid" in entry else entry.get("params", {})
        for address in addresses_of(entry):
            case = Case(entry["prefetch"], params, address, demand=entry.get("demand", "D-step"), steps=steps)
            replay_s, calls_s = _timed(runs, case)
            yield {
                "scenario": scenario,
                "prefetch": case.prefetch,
                "address": address,
                "calls": len(calls_s),
                "us_per_call": 1e6 * sum(calls_s) / max(1, len(calls_s)),
                "us_per_step": 1e6 * sum(calls_s) / steps,
                "times_none": replay_s / none_s,
            }


def _timed(runs: TraceRuns, case: Case) -> tuple[float, list[float]]:
    """CPU seconds of a replay, and of each of the policy's calls in it."""
    with _timed_calls() as calls_s:
        began = time.process_time()
        runs.run(case)
        return time.process_time() - began, calls_s


@contextmanager
def _timed_calls() -> Iterator[list[float]]:
    calls_s: list[float] = []
    original = StepMemory.ask_policy

    def ask_policy(memory: StepMemory) -> None:
        began = time.perf_counter()
        original(memory)
        if memory.policy.name != "none":
            calls_s.append(time.perf_counter() - began)

    StepMemory.ask_policy = ask_policy
    try:
        yield calls_s
    finally:
        StepMemory.ask_policy = original


if __name__ == "__main__":
    main()
