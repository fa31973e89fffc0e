"""Made-up rows of plausible shape for the tests of this package. Nothing here is a result, and no build reads it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd

# prefetch, label, level, address, params, share of removable stall closed, accuracy, coverage, cross-step share
POLICIES = [
    ("none", "none", 0, "logical", {}, 0.0, np.nan, 0.0, np.nan),
    ("next_n", "next-8 miss", 1, "logical", {"n": 8, "trigger": "miss"}, 0.01, 0.97, 0.80, 0.0),
    ("next_n", "next-8 tagged", 1, "logical", {"n": 8, "trigger": "tagged"}, 0.02, 0.96, 0.90, 0.01),
    ("next_n", "next-8 tagged", 0, "physical", {"n": 8, "trigger": "tagged"}, -0.02, 0.20, 0.03, 0.1),
    ("linux_vma", "Linux VMA", 1, "logical", {}, 0.015, 0.98, 0.88, 0.005),
    ("linux_vma", "Linux VMA", 0, "physical", {}, 0.0, 0.25, 0.04, 0.1),
    ("leap_paper", "Leap", 1, "logical", {}, 0.012, 0.95, 0.86, 0.004),
    ("leap_paper", "Leap", 0, "physical", {}, -0.01, 0.15, 0.02, 0.1),
    ("la_k", "LA-1 stay", 4, "logical", {"k": 1, "plan": "stay"}, 0.55, 0.99, 0.6, 1.0),
    ("la_k", "LA-8 stay", 4, "logical", {"k": 8, "plan": "stay"}, 0.93, 0.93, 0.95, 1.0),
    ("la_k", "LA-8 true", 5, "logical", {"k": 8, "plan": "true"}, 0.97, 1.0, 0.97, 1.0),
    ("clairvoyant", "clairvoyant", 6, "logical", {}, 0.99, 1.0, 0.99, 1.0),
]
CONTROL = ("random", "random", 0, "physical", {}, 0.01, 0.2, 0.03, 1.0)
FAMILIES = {"random": "control", "none": "none", "la_k": "schedule", "clairvoyant": "oracle"}  # else: speculative
SCENARIOS = {"rotation": 0.6, "longdoc": 2.5, "chat": 0.9, "agent": 1.4, "azure_conv": 0.3, "code": 0.5, "fits": np.nan}
EVICTIONS = {"lru": (0, 1.0), "plan_aware": (4, 0.7), "min": (6, 0.6)}
MATCHED = {0: "lru", 1: "lru", 4: "plan_aware", 5: "plan_aware", 6: "min"}


def metrics(scenarios: dict[str, float] = SCENARIOS, recorded: tuple[str, ...] = ("azure-conv", "mooncake-conv")):
    """A frame with the columns of results/metrics.parquet."""
    rng = np.random.default_rng(7)
    rows = []
    for name, rho in [*scenarios.items(), *((r, 0.8) for r in recorded)]:
        stall = 0.0 if name == "fits" else 20.0
        for policy in POLICIES:
            for eviction, (level, factor) in EVICTIONS.items():
                if policy[0] not in ("none", "la_k") and eviction != "lru":
                    continue
                rows.append(_row(rng, name, rho, policy, eviction, level, factor, "main", "D-step", stall, 1.0))
            eviction = MATCHED[policy[2]]
            if eviction != "lru":
                level, factor = EVICTIONS[eviction]
                rows.append(_row(rng, name, rho, policy, eviction, level, factor, "matched", "D-step", stall, 1.0))
            if policy[0] in ("none", "next_n") and policy[3] == "logical":
                for demand, times in (("D-page", 3.0), ("D-step", 1.0), ("D-layer", 0.7)):
                    rows.append(_row(rng, name, rho, policy, "lru", 0, 1.0, "demand", demand, stall * times, 1.0))
            if policy[0] in ("none", "la_k", "clairvoyant"):
                for link in (0.25, 0.5, 2.0, 4.0):
                    rows.append(_row(rng, name, rho / link, policy, "lru", 0, 1.0, "rho", "D-step", stall / link, link))
        for policy in [*POLICIES, CONTROL]:
            rows.append(_row(rng, name, rho, policy, "lru", 0, 1.0, "every", "D-step", stall, 1.0))
        for row in rows:
            if row["scenario"] == name:
                row["recorded"] = name in recorded
    return pd.DataFrame(rows)


def _row(rng, name, rho, policy, eviction, level, factor, sweep, demand, stall, link):
    prefetch, label, own, address, params, closed, accuracy, coverage, cross = policy
    allowed = 0.97 if not rho > 1 else 0.97 / rho
    bound = stall * (1 - allowed)
    own_stall = max(bound, stall * factor * (1 - allowed * closed)) if stall else 0.0
    issued = 0 if prefetch == "none" else 50_000
    useful = 0 if prefetch == "none" or not stall else int(issued * accuracy)
    removed = 1 - own_stall / stall if stall else np.nan
    same = int(useful * (1 - (cross if cross == cross else 0)))
    return {
        "scenario": name,
        "origin": "simulated",
        "schedule_from": None,
        "sweep": sweep,
        "prefetch": prefetch,
        "family": FAMILIES.get(prefetch, "speculative"),
        "params": json.dumps(params, sort_keys=True),
        "address": address,
        "label": label,
        "eviction": eviction,
        "level": max(own, level),
        "demand": demand,
        "capacity_blocks": 8000,
        "capacity_ratio": 1.0,
        "peak_live_blocks": 6000 if name == "fits" else 13000,
        "link_scale": link,
        "seed": 1,
        "trace_sha256": "0" * 64,
        "requests": 600,
        "steps": 4000,
        "compute_s": 80.0,
        "stall_s": own_stall,
        "elapsed_s": 80.0 + own_stall,
        "demand_loads": int(60_000 * (1 - coverage)) if stall else 0,
        "demand_loads_none": 60_000 if stall else 0,
        "issued": issued,
        "useful": useful,
        "timely": useful - same,
        "late": int(useful * 0.05),
        "same_step": same,
        "early": int((issued - useful) * 0.3),
        "unused": issued - useful,
        "accuracy": accuracy if stall else np.nan,
        "coverage": coverage if stall else np.nan,
        "cross_step_share": cross if stall else np.nan,
        "lateness": 0.05 if issued else np.nan,
        "amplification_blocks": 1.0 + (0.1 if issued else 0.0),
        "h2d_bytes": 60_000 * 2 * 2**20 if stall else 0,
        "stall_none_s": stall,
        "stall_removed": removed,
        "stall_removed_lo": removed - 0.02 * rng.random(),
        "stall_removed_hi": removed + 0.02 * rng.random(),
        "bound_compute_s": 80.0,
        "bound_min_loads": 30_000,
        "bound_b1_s": bound * 0.1,
        "bound_b2_s": bound * 0.8,
        "bound_s": bound if demand != "D-layer" else np.nan,
        "optimality_gap": (own_stall - bound) / (stall - bound) if stall else np.nan,
        "rho": rho,
        "unknowable_share": {"chat": 0.6, "agent": 0.7}.get(name, 0.05),
        "k_star": 3,
        "recorded": False,
    }


def serve():
    """A frame with the columns of results/serve.parquet."""
    rows = []
    for name in ("chat", "rotation", "fits"):
        for prefetch, label, level, address, params, closed, *_ in POLICIES:
            gain = 0.0 if name == "fits" else 0.3 * closed
            rows.append(
                {
                    "scenario": name,
                    "origin": "simulated",
                    "sweep": "main",
                    "prefetch": prefetch,
                    "family": FAMILIES.get(prefetch, "speculative"),
                    "params": json.dumps(params),
                    "address": address,
                    "label": label,
                    "eviction": "lru",
                    "level": level,
                    "demand": "D-step",
                    "capacity_blocks": 8000,
                    "capacity_ratio": 1.0,
                    "peak_live_blocks": 13000,
                    "link_scale": 1.0,
                    "seed": 1,
                    "requests": 600,
                    "dropped_requests": 0,
                    "elapsed_s": 100 * (1 - gain / 3),
                    "tokens_s": 2000 / (1 - gain / 3),
                    "requests_s": 6.0,
                    "ttft_p50_s": 0.5 * (1 - gain),
                    "ttft_p99_s": 3.0 * (1 - gain),
                    "ttft_mean_s": 0.8,
                    "tpot_p50_s": 0.02 * (1 - gain / 2),
                    "tpot_p99_s": 0.05,
                    "itl_p99_s": 0.1,
                    "preemptions": 12,
                    "effective_batch": 22.5,
                    "stall_s": 20 * (1 - closed),
                    "request_delay_s": 1.0,
                    "recorded": False,
                }
            )
    return pd.DataFrame(rows)


def fidelity():
    """A table of two scenarios in which every bar is kept and every ablation breaks one."""
    from pagedkv.fidelity.bars import bar_rows, off
    from pagedkv.fidelity.columns import QUANTITIES, TERMS, frame

    def run(scenario, number, policy, eviction, error):
        prefetch, label, level, address, params, *_ = policy
        row = {"scenario": scenario, "prefetch": prefetch, "family": FAMILIES.get(prefetch, "speculative")}
        row |= {"params": json.dumps(params), "address": address, "label": label, "eviction": eviction}
        row |= {"demand": "D-step", "level": f"I{level}", "machine": "Toy GPU"}
        for name in QUANTITIES:
            value = (100 - number) * (1e9 if name.endswith("bytes") else 0.01)
            row |= {f"{name}_measured": value, f"{name}_simulated": value * (1 + error), f"{name}_error": error}
        row |= {"step_mape": abs(error), "step_p99": 0.05, "step_prompt_share": 0.3, "schedule_distance": 0.1}
        row |= dict.fromkeys(TERMS, error / 4) | {"host_us_p50": 150.0}
        return row | off(row)

    rows = []
    for scenario in ("rotation", "longdoc"):
        for number, policy in enumerate([POLICIES[0], POLICIES[2], POLICIES[8], POLICIES[9]]):
            exact = {"decisions_exact": 1.0, "bytes_exact": 1.0}
            rows.append({"kind": "closed"} | run(scenario, number, policy, "lru", -0.01) | exact)
            for name in ("wrong capacity", "no contention"):
                broken = {"kind": "ablation", "ablation": name, "matters": 1.0, "breaks": 1.0}
                rows.append(run(scenario, number, policy, "lru", 0.2) | broken)
        for number, policy in enumerate(POLICIES):
            left = {
                f"stall_removed_{side}{end}": policy[5]
                for side in ("measured", "simulated")
                for end in ("", "_lo", "_hi")
            }
            pinned = {"kind": "pinned", "stall_removed_error": 0.0, "tokens_identical": 1.0, "logits_identical": 1.0}
            rows.append(run(scenario, number, policy, "lru", 0.01) | pinned | left)
        order = {"kind": "order", "scenario": scenario, "by": "stall", "label": "stall", "tau": 1.0, "unlike": ""}
        rows.append(order | {"pairs": 6, "notable_pairs": 6, "agreeing_pairs": 6})
    for mode in ("pinned", "free"):
        same = {"kind": "identity", "scenario": "identity", "mode": mode, "label": "none lru", "requests": 14}
        rows.append(same | {"identical": 14, "identical_share": 1.0, "logits_identical": 1.0, "verified_blocks": 9})
    rows.append({"kind": "cost", "scenario": "identity", "mode": "cost", "label": "tuned", "slowdown": 0.0})
    return frame([*rows, *bar_rows(rows)])


def trace(requests: int = 6, blocks: int = 12, steps: int = 120, quantum: int = 10):
    """A rotation of `requests`, two of which run at a time, as a trace of numpy tables."""
    rng = np.random.default_rng(3)
    reads, tables, transfers = [], [], []
    for start in range(0, steps, quantum):
        for rank in range(2):
            request = (start // quantum * 2 + rank) % requests
            reads.append((start, quantum, request, rank, 0, blocks, blocks, blocks * 16 - 1, 0))
            for first in range(0, blocks, 3):
                tables.append((start, request, first, 3, int(rng.integers(0, 60)), request * blocks + first, 1))
            if start >= quantum * requests // 2:
                transfers.append(
                    (len(transfers), 0, 0, request * blocks, blocks, start * 10, start * 10, start * 10, start)
                )
    reads_columns = ["step", "steps", "request", "rank", "first_block", "blocks", "first_written_block"]
    reads_columns += ["computed_tokens", "scheduled_tokens"]
    tables_columns = ["step", "request", "first_block", "blocks", "first_slot", "first_content", "slot_stride"]
    transfers_columns = ["job", "direction", "cause", "first_content", "blocks", "issue_us", "start_us", "done_us"]
    transfers_columns += ["seen_step"]
    return SimpleNamespace(
        header={"scenario": "toy", "origin": "simulated", "pool_blocks": 64, "block_tokens": 16},
        reads=_table(reads_columns, reads),
        tables=_table(tables_columns, tables),
        transfers=_table(transfers_columns, transfers),
    )


def _table(columns, rows):
    values = np.array(rows, dtype=np.int64).reshape(len(rows), len(columns))
    return {c: values[:, i] for i, c in enumerate(columns)}
