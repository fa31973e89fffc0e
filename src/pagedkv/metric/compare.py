"""Plays the leaderboard's runs on one trace: the grid of each tuned policy, and every policy as tuned elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagedkv.metric.cases import Case
from pagedkv.metric.equal_bytes import blocks_for
from pagedkv.metric.leaderboard import Tuned, grid_cases, leaderboard_cases
from pagedkv.metric.replay import TraceRuns

Progress = Callable[[str], None]
Row = dict[str, Any]


def grid_rows(runs: TraceRuns, section: Mapping[str, Any], progress: Progress = lambda label: None) -> list[Row]:
    """A row for every point of every grid: `key`, `params` and the share of stall that it removes here."""
    rows = []
    for key, case in grid_cases(section):
        progress(f"{key} {case.params}")
        stall, base = runs.run(case).stall_s, runs.run(case.baseline("lru")).stall_s
        removed = 1.0 - stall / base if base > 0 else float("nan")
        rows.append({"key": key, "params": json.dumps(case.params), "stall_removed": removed})
    return rows


def with_weights(section: Mapping[str, Any], weights: Path | None) -> dict[str, Any]:
    """The section with trained weights for `lstm`, or without that policy where there are none."""
    policies = []
    for entry in section["policies"]:
        if entry["prefetch"] != "lstm":
            policies.append(entry)
        elif weights is not None:
            policies.append({**entry, "params": {**entry.get("params", {}), "weights": str(weights)}})
    return {**section, "policies": policies}


def compare_rows(
    runs: TraceRuns, section: Mapping[str, Any], part: str, tuned: Tuned, progress: Progress = lambda label: None
) -> list[Row]:
    """Rows of metrics of one part of the leaderboard on one trace, with the parameters that other traces chose."""

    def equal_bytes(control: Case, reference: Case) -> Row:
        target = runs.run(reference).issuer.issued

        def issued_with(blocks: float) -> int:
            return runs.run(replace(control, params={**control.params, "blocks": blocks})).issuer.issued

        return {**control.params, "blocks": blocks_for(issued_with, target)}

    return [runs.row(case, progress) for case in leaderboard_cases(section, part, tuned, equal_bytes)]
