"""Every column of the runs and serve files: symbol, unit, meaning. `docs/metrics.md` is made from it.

`pagedkv list --metrics > docs/metrics.md` writes that file; a test compares it, and compares the columns here with the
ones that `metric.replay` and `metric.serve` produce. Symbols and denominators are those of policies.md 8.1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column. `unit` is `-` for shares, ratios and names; `text` is one sentence."""

    name: str
    unit: str
    text: str
    symbol: str = ""


Section = tuple[str, tuple[Column, ...]]


def _section(title: str, *rows: tuple[str, ...]) -> Section:
    return title, tuple(Column(*row) for row in rows)


IDENTITY = (
    ("scenario", "-", "Scenario of config.yaml: a workload and the engine under which its trace was made."),
    ("origin", "-", "What gave the engine time: `simulated` or `cuda`."),
    ("sweep", "-", "Comparison of the run: `main`, `matched`, `rho`, `demand`, `fault`, `every`, `seeds` or `serve`."),
    ("prefetch", "-", "Name of the prefetch policy."),
    ("family", "-", "Kind of the policy: `none`, `speculative`, `schedule`, `oracle` or `control`."),
    ("params", "-", "Parameters that the configuration gives the policy, as JSON."),
    (
        "address",
        "-",
        "Addresses that the policy sees: `logical`, `physical` (managed memory), `host...` (host slots).",
    ),
    ("label", "-", "Name of the policy as figures and tables print it."),
    ("eviction", "-", "Name of the eviction policy."),
    ("level", "-", "Information level I0-I6: the higher of the prefetch's, under this addressing, and the eviction's."),
    ("demand", "-", "Demand mode: `D-page`, `D-step`, `D-layer`, or in the closed loop `D-async`."),
)
RECORDED = ("recorded", "-", "True if the row is shipped under recorded/, false if it was run now (aggregated files).")
CAPACITY = ("capacity_blocks", "blocks", "GPU slots of the run, the null block included.")
BLOCK = ("block_bytes", "bytes", "KV bytes of one block of 16 tokens over all layers.")
LINK = ("link_scale", "-", "Speed of the link relative to the calibrated one, in every term of its cost.")
SEED = ("seed", "-", "Seed of the configuration under which the run was made.")

RUNS = (
    _section(
        "Identity",
        *IDENTITY,
        ("schedule_from", "-", "Empty, or the recorded pool if this run's capacity differs from it."),
        ("fault_us", "us", "Host cost of one fault (D-page; 0 elsewhere)."),
        ("page_bytes", "bytes", "Size of a page under D-page (0: a whole block)."),
        CAPACITY,
        ("capacity_ratio", "-", "capacity_blocks / peak_live_blocks."),
        ("peak_live_blocks", "blocks", "Largest KV of all live requests during the recorded run."),
        BLOCK,
        ("weights_bytes", "bytes", "Weights of the model."),
        LINK,
        SEED,
        ("requests", "requests", "Requests finished in the recorded run, warm-up included."),
        ("rate_scale", "-", "Factor on the arrival rate of the workload (1: its own rate)."),
        ("trace_sha256", "-", "SHA-256 of the trace file."),
        RECORDED,
    ),
    _section(
        "Time, without the warm-up",
        ("steps", "steps", "Measured engine steps."),
        ("compute_s", "s", "Compute time of the trace."),
        ("idle_s", "s", "Time in which the engine had no work."),
        ("stall_s", "s", "Time in which the engine had work and waited for KV."),
        ("elapsed_s", "s", "compute_s + idle_s + stall_s."),
    ),
    _section(
        "Prefetching",
        ("demand_loads", "blocks", "Loads that a step waited for; one of l of L layers counts l/L.", "M"),
        ("demand_loads_none", "blocks", "The same without prefetching, all else equal.", "M0"),
        ("issued", "blocks", "Prefetches whose transfer was started, or that awaited use when the warm-up ended.", "I"),
        ("useful", "blocks", "Prefetched blocks that were used before they were evicted.", "U"),
        ("timely", "blocks", "Useful ones that had arrived when they were needed."),
        ("late", "blocks", "Useful ones that were still in flight when they were needed."),
        ("same_step", "blocks", "Useful ones that were issued in the step that used them."),
        ("cross_step", "blocks", "Useful ones that were issued in an earlier step."),
        ("early", "blocks", "Demand loads of blocks that had been prefetched and evicted unused."),
        ("unused", "blocks", "Prefetches that were not used.", "I - U"),
        ("accuracy", "-", "Share of the prefetches that were used.", "U / I"),
        ("coverage", "-", "Share of the demand loads that prefetching saved; may be negative.", "(M0 - M) / M0"),
        ("coverage_miss_based", "-", "Useful prefetches per use that was not resident by itself.", "U / (U + M)"),
        ("cross_step_share", "-", "Share of the useful prefetches that were issued in an earlier step.", "cross / U"),
        ("lateness", "-", "Share of the useful prefetches that were late.", "late / U"),
        ("exposed_late_s", "s", "Time that steps waited for prefetches in flight."),
        ("pollution", "-", "Demand loads that the run without prefetching does not have at that step, per M0."),
        ("overprediction", "-", "Unused prefetches per demand load of the run without prefetching.", "(I - U) / M0"),
        ("unused_block_s", "block s", "Time that prefetched blocks lay on the GPU before use or eviction, summed."),
        ("decision_calls", "-", "Calls of the policy."),
        ("proposals", "blocks", "Blocks that the policy asked for, repetitions included."),
        ("dropped_resident", "blocks", "Proposed blocks that were on the GPU already, or not in host memory."),
        ("dropped_in_flight", "blocks", "Proposed blocks that were in flight already."),
        ("dropped_no_room", "blocks", "Attempts at a proposed block for which no slot could be freed."),
        ("cancelled", "blocks", "Queued proposals that left the plan before they were started."),
        ("issue_to_need_steps", "blocks", "Histogram of steps from issue to use: 0, 1, 2-3, 4-7, ..., >= 256."),
        ("fill_to_use_ms", "blocks", "Histogram of ms from arrival to use: late, < 1, < 4, ..., < 256, >= 256."),
    ),
    _section(
        "Decisions, as benchmarks/decisions.py measured them (aggregated files)",
        ("decision_us", "us", "Time of a call of the policy, on this scenario with these parameters."),
        ("decision_us_per_step", "us", "That time over all calls, spread over all steps."),
        ("decision_s", "s", "That time over all calls."),
        ("stall_removed_charged", "-", "Stall removed if the engine waited for every call."),
    ),
    _section(
        "Link",
        ("amplification_blocks", "-", "Blocks loaded per demand load of the run without prefetching.", "(M + I) / M0"),
        ("amplification_bytes", "-", "Bytes loaded per byte that the run without prefetching loads."),
        ("h2d_bytes", "bytes", "Bytes from host to GPU."),
        ("d2h_bytes", "bytes", "Bytes from GPU to host."),
        ("link_busy_s", "s", "Time in which the host-to-GPU link carried something."),
        ("link_utilisation", "-", "link_busy_s / elapsed_s."),
        ("link_prefetch_share", "-", "Link time of prefetches / elapsed_s."),
    ),
    _section(
        "Against the bounds",
        ("stall_none_s", "s", "Stall of `none` + `lru` in the same demand mode."),
        ("stall_removed", "-", "1 - stall_s / stall_none_s."),
        ("stall_removed_lo", "-", "Lower end of its 95 % interval (block bootstrap over time, in pairs)."),
        ("stall_removed_hi", "-", "Upper end of that interval."),
        ("bound_compute_s", "s", "Compute time alone, which no policy changes.", "B0"),
        ("bound_min_loads", "blocks", "Loads of batched MIN, the fewest that any policy can do.", "B1"),
        ("bound_b1_s", "s", "Stall that those loads force at least.", "B1"),
        ("bound_b2_s", "s", "Stall that loads beyond capacity in disjoint windows force.", "B2"),
        ("bound_b4_s", "s", "Stall of the linear program over groups of blocks (empty: too large).", "B4 = B3"),
        ("bound_b5_s", "s", "Stall that overlap cannot remove from the loads of `none` + `lru`.", "B5"),
        ("bound_b7_s", "s", "Load time that keeping blocks until their next use saves at most.", "B7"),
        ("bound_s", "s", "Least stall of any policy in this demand mode: the largest of B1, B2 and B4."),
        ("optimality_gap", "-", "(stall_s - bound_s) / (stall_none_s - bound_s): 1 is `none` + `lru`, 0 the bound."),
    ),
    _section(
        "Knowledge, on `none` + `lru` under D-step",
        ("rho", "-", "Load time of what enters the batch / time for which entries were known ahead.", "sum L / sum A"),
        ("rho_p50", "-", "Median of L / A over entry events with A > 0."),
        ("rho_p90", "-", "90th percentile of L / A over entry events with A > 0."),
        ("unknowable_share", "-", "Share of the loaded blocks whose request entered at the boundary at which it came."),
        ("k_star", "steps", "Horizon that covers the largest load: its time over a mean step's, rounded up.", "k*"),
    ),
)

SERVE = (
    _section(
        "Identity",
        *IDENTITY,
        ("preemption", "-", "What becomes of a preempted request: `swap` or `recompute`."),
        ("max_num_seqs", "requests", "Most requests in a step."),
        CAPACITY,
        ("host_blocks", "blocks", "Blocks of host memory (-1: as many as needed; 0: none)."),
        BLOCK,
        LINK,
        SEED,
        ("workload_sha256", "-", "SHA-256 of the request table's columns."),
        RECORDED,
    ),
    _section(
        "Requests",
        ("requests", "requests", "Finished requests."),
        (
            "dropped_requests",
            "requests",
            "Requests longer than max_model_len or the pool, with the rest of their sessions.",
        ),
        ("tokens_s", "1/s", "Output tokens per second of elapsed time."),
        ("requests_s", "1/s", "Finished requests per second of elapsed time."),
        ("ttft_mean_s", "s", "Mean time from arrival to the first output token.", "TTFT"),
        ("ttft_p50_s", "s", "Median of TTFT over requests."),
        ("ttft_p99_s", "s", "99th percentile of TTFT over requests."),
        ("tpot_p50_s", "s", "Median over requests of the mean time between a request's output tokens.", "TPOT"),
        ("tpot_p99_s", "s", "99th percentile of TPOT over requests."),
        ("itl_p50_s", "s", "Median over tokens, first ones excepted, of the time since the token before.", "ITL"),
        ("itl_p99_s", "s", "99th percentile of ITL over those tokens."),
        ("completion_p50_s", "s", "Median time from arrival to the last output token."),
        ("completion_p99_s", "s", "99th percentile of that time."),
        ("request_delay_s", "s", "Time that requests waited for their own loads under D-async, summed."),
    ),
    _section(
        "Engine",
        ("steps", "steps", "Engine steps."),
        ("elapsed_s", "s", "Time from the start to the end of the last request."),
        ("compute_s", "s", "Compute time of all steps."),
        ("stall_s", "s", "Time in which the engine had work and waited for KV."),
        ("preemptions", "-", "Requests taken out of the batch for want of room."),
        ("effective_batch", "requests", "Requests in the batch, averaged over elapsed time."),
        ("recomputed_tokens", "tokens", "Tokens computed again because their KV was lost."),
        ("demand_loads", "blocks", "Loads that a step, or under D-async a request, waited for."),
        ("issued", "blocks", "Prefetches whose transfer was started."),
        ("useful", "blocks", "Prefetched blocks that were used before they were evicted."),
        ("decision_calls", "-", "Calls of the policy."),
        ("h2d_bytes", "bytes", "Bytes from host to GPU."),
        ("d2h_bytes", "bytes", "Bytes from GPU to host."),
        ("link_utilisation", "-", "Time in which the host-to-GPU link carried something / elapsed_s."),
        ("hit_tokens", "tokens", "Prompt tokens found in the caches at admission."),
        ("hit_tokens_host", "tokens", "Those whose blocks were only in host memory."),
        ("hit_tokens_gpu", "tokens", "The others: hit_tokens - hit_tokens_host."),
    ),
)

FILES = {"Runs: replay, open loop": RUNS, "Serve: closed loop": SERVE}


def columns(sections: tuple[Section, ...]) -> dict[str, Column]:
    """The columns of one file by name. Raises ValueError if one is defined twice."""
    found: dict[str, Column] = {}
    for _, members in sections:
        for column in members:
            if column.name in found:
                raise ValueError(f"column '{column.name}' is defined twice")
            found[column.name] = column
    return found


def markdown() -> str:
    """The glossary as docs/metrics.md holds it."""
    lines = ["# Metrics", "", "Made by `pagedkv list --metrics` from `src/pagedkv/metric/glossary.py`; do not edit."]
    lines += ["A share or ratio without a denominator is empty (NaN)."]
    for title, sections in FILES.items():
        lines += ["", f"## {title}"]
        for section, members in sections:
            lines += ["", f"### {section}", "", "| column | symbol | unit | meaning |", "|---|---|---|---|"]
            lines += [f"| {c.name} | {c.symbol} | {c.unit} | {c.text} |" for c in members]
    return "\n".join(lines) + "\n"
