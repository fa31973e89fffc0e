"""Metrics of policies.md 8.1: recomputed from a log of transfers and entries, and on a trace worked by hand."""

import math

import numpy as np
import pytest

from pagedkv.engine.record import record
from pagedkv.engine.scripting import build_script
from pagedkv.engine.settings import EngineSettings
from pagedkv.engine.transfers import PREFETCH
from pagedkv.metric import replay
from pagedkv.metric.cases import Case
from pagedkv.workload.sessions import single_turns
from tests.metric import small


@pytest.fixture(scope="module")
def trace():
    return small.trace()


class Logged:
    """Runs of a trace whose loads are written down: (step, contents, prefetch or demand)."""

    def __init__(self, trace, monkeypatch):
        self.loads: list[tuple[int, int, bool]] = []
        build = replay.build_memory

        def logging(*args, **options):
            memory = build(*args, **options)
            self.loads = []
            load = memory.tiers.load

            def logged(contents, cause, *rest):
                self.loads += [(memory.step, content, cause == PREFETCH) for content in contents.tolist()]
                return load(contents, cause, *rest)

            memory.tiers.load = logged
            return memory

        monkeypatch.setattr(replay, "build_memory", logging)
        self.runs = small.runs_of(trace)
        self.entries = {}
        for step, _, contents in build_script(trace).entries:
            for content in contents.tolist():
                self.entries.setdefault(content, []).append(step)

    def play(self, case):
        outcome = self.runs.run(case)
        return outcome, self.loads

    def useful(self, loads):
        """A prefetched block is used if it is read before it is loaded again, so before it is evicted."""
        useful = 0
        for number, (step, content, prefetched) in enumerate(loads):
            again = next((later for later, other, _ in loads[number + 1 :] if other == content), math.inf)
            useful += prefetched and any(step < read < again for read in self.entries.get(content, ()))
        return useful


CASES = [
    Case("la_k", {"k": 8}),
    Case("la_k", {"k": None, "plan": "true"}),
    Case("la_k", {"k": 8}, eviction="plan_aware"),
    Case("clairvoyant", eviction="min"),
    Case("clairvoyant", link_scale=0.2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.policy().label} {case.eviction} x{case.link_scale}")
def test_metrics_are_those_of_the_transfers(trace, monkeypatch, case):
    log = Logged(trace, monkeypatch)
    _, shadow = log.play(case.baseline())
    outcome, loads = log.play(case)
    row = log.runs.row(case, lambda label: None)
    demand = [(step, content) for step, content, prefetched in loads if not prefetched]
    M, M0, U = len(demand), len(shadow), log.useful(loads)
    issued = len(loads) - M
    extra = len(set(demand) - {(step, content) for step, content, _ in shadow})
    assert U > 0, "the run must prefetch, or the test says nothing"
    assert (row["demand_loads"], row["demand_loads_none"], row["issued"], row["useful"]) == (M, M0, issued, U)
    assert row["accuracy"] == pytest.approx(U / issued)
    assert row["coverage"] == pytest.approx((M0 - M) / M0)
    assert row["coverage_miss_based"] == pytest.approx(U / (U + M))
    assert row["pollution"] == pytest.approx(extra / M0)
    assert (row["unused"], row["overprediction"]) == (issued - U, pytest.approx((issued - U) / M0))
    assert row["amplification_blocks"] == row["amplification_bytes"] == pytest.approx((M + issued) / M0)
    assert row["h2d_bytes"] == (M + issued) * small.TINY.block_bytes
    assert row["link_busy_s"] == pytest.approx((M + issued) * small.BLOCK_S / case.link_scale)
    assert row["link_prefetch_share"] * row["elapsed_s"] == pytest.approx(issued * small.BLOCK_S / case.link_scale)
    assert row["timely"] + row["late"] == row["useful"] == row["same_step"] + row["cross_step"]
    assert row["lateness"] == pytest.approx(row["late"] / U)
    assert row["cross_step_share"] == 1, "a step without idle time cannot use what it prefetches itself"
    assert row["stall_s"] == pytest.approx(outcome.stalls_s.sum())
    assert (sum(row["issue_to_need_steps"]), sum(row["fill_to_use_ms"])) == (U, U)
    assert row["fill_to_use_ms"][0] == row["late"]
    assert row["issue_to_need_steps"][0] == row["same_step"]


def test_demand_loading_worked_by_hand():
    """Requests A (blocks 0-3, later 8) and B (4-7, later 9) run for four steps each in turn, with room for 6 blocks.

    Step 4: A leaves, B writes four blocks. Two slots are free; of A's blocks, the last one first, 3 is being stored
    and so no victim: 2 and 1 go. Step 8: A misses 1 and 2, 2 ms. For them 6 and 5 go, 7 being stored; at step 9 A
    writes block 8 in place of 7. Step 12: A is finished and B misses 5, 6 and 7, 3 ms.
    """
    table = single_turns(np.zeros(2), np.array([60, 60]), np.array([8, 8]), name="toy", origin={})
    settings = EngineSettings(pool_blocks=7, max_num_seqs=1, quantum_steps=4)
    trace = record(table, "toy", settings, small.TINY, small.calibration(), seed=3)
    made = small.runs_of(trace)
    outcome = made.run(Case("none"))
    assert [(step, missed.tolist()) for step, missed in outcome.misses] == [(8, [1, 2]), (12, [5, 6, 7])]
    assert outcome.stalls_s == pytest.approx(np.array([0.0] * 8 + [0.002] + [0.0] * 3 + [0.003] + [0.0] * 3))
    row = made.row(Case("none"), lambda label: None)
    assert (row["demand_loads"], row["demand_loads_none"], row["steps"]) == (5, 5, 16)
    assert (row["stall_s"], row["compute_s"], row["elapsed_s"]) == pytest.approx((0.005, 0.064, 0.069))
    assert row["h2d_bytes"] == 5 * small.TINY.block_bytes
