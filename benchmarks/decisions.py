"""What a decision of each prefetch policy costs on the scheduler's thread, and what a replay with it costs.

    ./lab python benchmarks/decisions.py [--results results] [--out recorded/benchmarks/decisions.json]

After a build: plays every policy of the leaderboard, with the parameters with which it was judged, on the whole trace
of every scenario of the leaderboard, on one core, and times each call: making the view, `propose`, `hints`, and
queueing the answer. `us_per_step` spreads the calls over all steps. `times_none` is the CPU time of the whole replay
over that of `none`: what a policy costs somebody who simulates it. A build charges `us_per_call` to the same policy
with the same parameters on the same scenario (`pagedkv metrics --decisions`). Controls are not charged.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common

from pagedkv import config, trace
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.memory import StepMemory
from pagedkv.metric.cases import Case
from pagedkv.metric.compare import with_weights
from pagedkv.metric.leaderboard import leaderboard_cases
from pagedkv.metric.replay import TraceRuns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the build, for tuned.json and lstm/")
    parser.add_argument("--traces", type=Path, default=Path("recorded/traces"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    common.one_core()
    loaded = config.load()
    tuned = json.loads((arguments.results / "tuned.json").read_text())
    rows = []
    for scenario in loaded["leaderboard"]["scenarios"]:
        settings = config.leaderboard_settings(loaded, scenario)
        trained = [name for name in loaded["leaderboard"]["trained"] if name != scenario]
        section = with_weights(settings["leaderboard"], arguments.results / f"lstm/{trained[0]}.npz")
        section["policies"] = [entry for entry in section["policies"] if "bytes_of" not in entry]
        runs = TraceRuns(
            trace.read(arguments.traces / f"{scenario}.kvtrace"),
            "",
            read_calibration(settings["calibration"]),
            settings,
        )
        cases = leaderboard_cases(section, "lru", tuned[scenario], no_control)
        for row in scenario_rows(runs, [case for case in cases if case.prefetch != "none"], scenario):
            print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()), flush=True)
            rows.append(row)
    if arguments.out:
        common.write_rows(arguments.out, rows, {"traces": str(arguments.traces)})


def no_control(control: Case, reference: Case) -> dict[str, Any]:
    raise AssertionError("controls are left out")


def scenario_rows(runs: TraceRuns, cases: list[Case], scenario: str) -> Iterator[dict[str, Any]]:
    """A row for each run."""
    # What all runs share is made once, and is not theirs.
    steps = runs.script(None).steps
    runs.managed(None)
    _timed(runs, Case("none", sweep="warm", capacity=1.01))
    none_s, _ = _timed(runs, Case("none"))
    for case in cases:
        replay_s, calls_s = _timed(runs, case)
        yield {
            "scenario": scenario,
            "prefetch": case.prefetch,
            "address": case.address,
            "params": json.dumps(case.params, sort_keys=True),
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
