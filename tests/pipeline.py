"""Every stage on a tiny input, through the command line: for the tests of the CLI and of the guides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CSV = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,20,3\n2023-11-16 18:15:50.0000000,30,2\n"
"""A source in the form of Azure's traces."""

CALIBRATION = {
    "name": "toy",
    "status": "toy: a block of `tiny` takes 1 ms, a step 4 ms",
    "device": "none",
    "host_to_device": {"bytes_per_s": 4.096e6, "submit_s": 0.0, "piece_s": [[2048, 0.0], [4096, 0.0]]},
    "device_to_host": {"bytes_per_s": 4.096e6, "submit_s": 0.0, "piece_s": [[2048, 0.0], [4096, 0.0]]},
    "both_directions_bytes_per_s": 8.192e6,
    "compute": {"memory_bytes_per_s": 1e18, "flops_per_s": 1e24, "step_overhead_s": 0.004},
}
WORKLOAD = {"generator": "azure_conv", "duration_s": 1, "rate_scale": 1.0, "seed": 1}
REPLAY = {
    "warmup": 0.1,
    "capacity": [1.0],
    "evictions": ["lru", "plan_aware", "min"],
    "matched": True,
    "policies": [
        {"prefetch": "none"},
        {"prefetch": "next_n", "params": {"n": 2}, "address": ["physical", "logical"]},
        {"prefetch": "la_k", "params": {"k": 8}},
        {"prefetch": "clairvoyant"},
    ],
    "link_scale": [1.0],
    "sweep": [{"prefetch": "la_k", "params": {"k": 8}}],
    "demand": ["D-page", "D-step", "D-layer"],
    "demand_steps": 60,
    "demand_policies": [{"prefetch": "none"}, {"prefetch": "next_n", "params": {"n": 2}}],
    "fault_us": [20],
    "page_bytes": 1024,
}
SERVE = [
    {"prefetch": "none", "eviction": "lru", "demand": "D-step"},
    {"prefetch": "la_k", "params": {"k": 8}, "eviction": "plan_aware", "demand": "D-step"},
    {"prefetch": "none", "eviction": "lru", "demand": "D-async"},
]
ENGINE = {"pool_blocks": 260, "max_num_seqs": 8, "max_num_batched_tokens": 512, "quantum_steps": 16}


def settings(folder: Path, stage: str, **changes: Any) -> str:
    """`--settings` of a stage, as a rule would give them; writes the calibration into `folder`."""
    if stage == "workload":
        return json.dumps({"workload": {**WORKLOAD, **changes}, "sources": {}})
    calibration = folder / "calibration.json"
    calibration.write_text(json.dumps(CALIBRATION))
    common = {"scenario": "toy", "model": "tiny", "calibration": str(calibration), "seed": 1}
    stages = {"record": {"engine": ENGINE}, "replay": {"replay": REPLAY}, "serve": {"engine": ENGINE, "serve": SERVE}}
    own = stages[stage]
    if stage == "serve":
        return json.dumps({**common, **own, **changes})
    (section,) = own
    return json.dumps({**common, section: {**own[section], **changes}})


def stages(folder: Path, replay: dict[str, Any] | None = None) -> list[list[str]]:
    """Arguments of every stage from the workload to the runs, with their files in `folder`."""

    def call(verb: str, *arguments: str, **changes: Any) -> list[str]:
        return [verb, "--settings", settings(folder, verb, **changes), *arguments]

    requests, trace = str(folder / "requests.parquet"), str(folder / "toy.kvtrace")
    runs, serve = str(folder / "runs.parquet"), str(folder / "serve.parquet")
    return [
        call("workload", "--out", requests),
        call("record", "--requests", requests, "--out", trace),
        call("replay", "--trace", trace, "--out", runs, **(replay or {})),
        call("serve", "--requests", requests, "--out", serve),
        ["metrics", "--runs", runs, "--serve", serve]
        + ["--out-runs", str(folder / "all_runs.parquet"), "--out-serve", str(folder / "all_serve.parquet")],
    ]
