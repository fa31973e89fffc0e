"""Requests per second of closed-loop simulation, and how its time grows with the number of requests.

    ./lab python benchmarks/closed_loop.py [--out FILE]

Policy `none`, KV fits, one core. 1x, 4x and 16x are the same arrival rate for 1, 4 and 16 times as long; near-linear
growth is wanted. Then the whole Azure conversation trace, and the first 4,000 requests of it. Beside them: `la_k` with
half the pool that the run without it needs at its peak. SplitwiseSim, an existing simulator, takes 8 s for the first
1,000 and 73 s for the first 4,000 requests of the same trace (measured for the design notes on a machine of this kind,
not in this run).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import common

from pagedkv import config
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.cases import Case
from pagedkv.metric.serve import run_closed_loop
from pagedkv.workload.azure_conv import generate
from pagedkv.workload.table import RequestTable

UNIT_S = 100.0
"""Length of the 1x workload in seconds of arrivals."""
NONE = Case("none")
LOOK_AHEAD = Case("la_k", {"k": 16, "plan": "stay"}, eviction="plan_aware")
FITS = EngineSettings(pool_blocks=400_000, host_blocks=0, max_num_seqs=256)


def simulate(
    label: str, table: RequestTable, case: Case, engine: EngineSettings, settings: config.Config
) -> dict[str, Any]:
    """One closed-loop run, and the CPU seconds that it took."""
    calibration = read_calibration(settings["calibration"])
    started = time.process_time()
    loop = run_closed_loop(table, case, engine, geometry(settings["model"]), calibration)
    seconds = time.process_time() - started
    requests, steps = len(loop.served.completion_s), loop.served.steps
    print(
        f"{label:<38} {requests:>7,} requests {steps:>9,} steps {seconds:>7.2f} s {requests / seconds:>7,.0f} a second"
    )
    return {"run": label, "requests": requests, "steps": steps, "cpu_s": seconds, "requests_per_s": requests / seconds}


def growth(case: Case, engine: EngineSettings, settings: config.Config) -> list[dict[str, Any]]:
    """1x, 4x and 16x the requests at equal rate."""
    tables = {times: generate(duration_s=UNIT_S * times, seed=1) for times in (1, 4, 16)}
    return [
        simulate(f"{times}x, {case.policy().label}", table, case, engine, settings) for times, table in tables.items()
    ]


def half_capacity(settings: config.Config) -> EngineSettings:
    """The engine with half the blocks that the 1x workload has live at its peak, and a host tier."""
    table, calibration = generate(duration_s=UNIT_S, seed=1), read_calibration(settings["calibration"])
    trace = record(table, "1x", FITS, geometry(settings["model"]), calibration, seed=1)
    return replace(FITS, pool_blocks=trace.header["peak_live_blocks"] // 2, host_blocks=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="also write the rows and their provenance as JSON")
    options = parser.parse_args()
    common.one_core()
    settings = config.load()
    whole = common.azure_conversation(settings)
    rows = [
        simulate(f"{whole.name}, first {count}", whole.rows(0, count), NONE, FITS, settings)
        for count in (1000, 4000, len(whole))
    ]
    fits = growth(NONE, FITS, settings)
    half = growth(LOOK_AHEAD, half_capacity(settings), settings)
    for name, (one, _, sixteen) in (("none, KV fits", fits), ("la_k, half capacity", half)):
        print(f"{name}: a request of 16x takes {one['requests_per_s'] / sixteen['requests_per_s']:.2f} of one of 1x")
    if options.out is not None:
        common.write(options.out, rows + fits + half, whole)


if __name__ == "__main__":
    main()
