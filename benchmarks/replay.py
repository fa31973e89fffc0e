"""LRU replay of a real trace: this package's event-driven LRU against libCacheSim's, on the same accesses.

    ./lab python benchmarks/replay.py [--accesses 20000000] [--out FILE]

The Azure conversation trace (PAGEDKV_DATA; absent: the embedded generator, and the output says so) is recorded by the
closed loop with a pool that holds everything. Oracle mode: the stream of (step, batch position, block) goes through a
plain LRU of unit blocks; nothing is freed or pinned, and compulsory misses count. Both sides get the same stream, the
package as runs, libCacheSim (GPL, an external program run as an oracle, never part of the package) as a memory-mapped
file of single accesses. Miss counts must be identical. Both run on the same core, best of `--repeat` runs; making the
file is not timed, and libCacheSim gets the better of two hash table sizes.

*Effective* accesses per second are accesses that the result accounts for; *enumerated* ones are those that the
program touched one by one (libCacheSim: all) or as parts of extents (this package: what it had to play).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np

from pagedkv import config
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace.lru import AccessRuns, LruStack, expanded, lru_misses, stretches
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable

ACCESS = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
"""libCacheSim's oracleGeneral record."""
HASH_POWERS = (12, 24)
"""log2 of its hash table's size: small and in cache, and its default, which was the fastest with many misses."""


class CountingStack(LruStack):
    """Counts what is really played."""

    extents = blocks = 0

    def access(self, first: int, count: int) -> int:
        self.extents += 1
        self.blocks += count
        return super().access(first, count)


def record(settings: config.Config, table: RequestTable) -> Trace:
    """Serve `table` with a pool that holds everything, and record the trace."""
    engine = EngineSettings.from_config({**settings["scenarios"]["azure_conv"]["engine"], "pool_blocks": 65536})
    loop: list[ServeLoop] = []
    memory = build_memory(
        read_calibration(settings["calibration"]),
        geometry(settings["model"]),
        Logical(lambda request: loop[0].table_of(request)),
        PREFETCHERS.get("none")(),
        pool_blocks=engine.pool_blocks,
        host_blocks=0,
    )
    recorder = Recorder()
    loop.append(ServeLoop(table, engine, memory, recorder=recorder))
    loop[0].run()
    return recorder.finish({"scenario": table.name, "pool_blocks": engine.pool_blocks})


def access_runs(trace: Trace) -> AccessRuns:
    """The reads of a trace whose requests share no block and keep the contents they have written.

    Block b of request r is given the number first(r) + b, which only renames contents: each is at one place.
    """
    rows, reads = trace.tables, trace.reads
    if int(rows["blocks"].sum()) != int((rows["first_content"] + rows["blocks"]).max()):
        raise PagedKVError("trace: requests share contents, or write blocks anew; their blocks are no extents")
    blocks = np.zeros(int(reads["request"].max()) + 1, np.int64)
    np.maximum.at(blocks, rows["request"], rows["first_block"].astype(np.int64) + rows["blocks"])
    first = (np.cumsum(blocks) - blocks)[reads["request"]]
    columns = (reads["step"], reads["steps"], reads["rank"], first, reads["computed_tokens"], reads["scheduled_tokens"])
    return AccessRuns(*(column.astype(np.int64) for column in columns))


def cut(runs: AccessRuns, accesses: int) -> AccessRuns:
    """`runs` up to the end of the step in which they have made `accesses`."""
    per_step = np.concatenate([stretch.totals() for stretch in stretches(runs)])
    reading = np.zeros(int((runs.step + runs.steps).max()) + 1, np.int64)
    np.add.at(reading, runs.step, 1)
    np.add.at(reading, runs.step + runs.steps, -1)
    steps = np.flatnonzero(np.cumsum(reading))
    done = np.cumsum(per_step)
    if done[-1] < accesses:
        raise PagedKVError(f"the trace makes only {done[-1]} accesses, not {accesses}; ask for more --requests")
    return runs.until(int(steps[np.searchsorted(done, accesses)]) + 1)


def timed(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """(least wall time of `repeat` calls, result)."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begun)
    return best, result


def libcachesim_misses(path: Path, capacity: int, accesses: int, repeat: int) -> tuple[float, int]:
    """(least time, misses) of libCacheSim's LRU over the file."""
    import libcachesim  # imported here, so that --help works without it

    def run(power: int) -> int:
        reader = libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
        ratio, _ = libcachesim.LRU(capacity, hashpower=power).process_trace(reader)
        return round(ratio * accesses)

    return min(timed(lambda power=power: run(power), repeat) for power in HASH_POWERS)


def compare(runs: AccessRuns, capacities: dict[float, int], repeat: int) -> list[dict[str, Any]]:
    """One row a capacity. Raises PagedKVError if the miss counts differ."""
    blocks = expanded(runs)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accesses.oracleGeneral.bin"
        records = np.zeros(len(blocks), ACCESS)
        records["id"], records["size"], records["next"] = blocks + 1, 1, -1
        records.tofile(path)
        for share, capacity in capacities.items():
            ours_s, (misses, accesses) = timed(lambda capacity=capacity: lru_misses(runs, LruStack(capacity)), repeat)
            theirs_s, expected = libcachesim_misses(path, capacity, len(blocks), repeat)
            if (misses, accesses) != (expected, len(blocks)):
                raise PagedKVError(f"{capacity} blocks: {misses} misses of {accesses}, libCacheSim: {expected}")
            played = CountingStack(capacity)
            lru_misses(runs, played)
            rows.append(
                {
                    "share_of_peak_live": share,
                    "capacity_blocks": capacity,
                    "accesses": accesses,
                    "misses": misses,
                    "pagedkv_s": ours_s,
                    "effective_accesses_per_s": accesses / ours_s,
                    "enumerated_accesses": played.blocks,
                    "enumerated_accesses_per_s": played.blocks / ours_s,
                    "extents": played.extents,
                    "libcachesim_s": theirs_s,
                    "libcachesim_accesses_per_s": accesses / theirs_s,
                    "ratio": theirs_s / ours_s,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accesses", type=int, default=20_000_000)
    parser.add_argument("--requests", type=int, default=1500, help="requests recorded (default: %(default)s)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0], help="of peak live blocks")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the rows and their provenance as JSON")
    options = parser.parse_args()
    common.one_core()
    settings = config.load()
    table = common.azure_conversation(settings, options.requests)
    trace = record(settings, table)
    peak = trace.header["peak_live_blocks"]
    runs = cut(access_runs(trace), options.accesses)
    rows = compare(runs, {share: round(share * peak) for share in options.shares}, options.repeat)
    print(f"{table.name}: {rows[0]['accesses']:,} accesses, {len(runs.step):,} runs, peak live {peak:,} blocks")
    print("share  blocks      misses  effective M/s  enumerated M/s  libCacheSim M/s  ratio")
    for row in rows:
        print(
            f"{row['share_of_peak_live']:5.2f} {row['capacity_blocks']:7,} {row['misses']:11,}"
            f" {row['effective_accesses_per_s'] / 1e6:14.1f} {row['enumerated_accesses_per_s'] / 1e6:15.1f}"
            f" {row['libcachesim_accesses_per_s'] / 1e6:16.1f} {row['ratio']:6.2f}"
        )
    if options.out is not None:
        common.write(options.out, rows, table, "libcachesim")


if __name__ == "__main__":
    try:
        main()
    except PagedKVError as error:
        sys.exit(f"benchmark: {error}")
