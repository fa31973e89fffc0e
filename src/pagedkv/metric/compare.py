"""Plays the leaderboard's runs on one trace: the grid of each tuned policy, and every policy as tuned elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
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
    """A row of metrics for every point of every grid, with the `key` of its entry and the `point` as it is written."""
    rows = []
    for key, case in grid_cases(section):
        progress(f"{key} {case.params}")
        rows.append({"key": key, "point": json.dumps(case.params), **runs.row(case)})
    return rows


class Played:
    """Rows of metrics that the grid's job has made of a trace, so that no run of them is played again."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows = {self._key(row["trace_sha256"], row): row for row in rows}

    def row(self, trace_sha256: str, case: Case) -> Row | None:
        """The row of a case, if it was played on that trace."""
        asked = {**vars(case), "params": json.dumps(case.params, sort_keys=True)}
        row = self._rows.get(self._key(trace_sha256, asked))
        if row is None:
            return None
        return {**{name: value for name, value in row.items() if name not in ("key", "point")}, "sweep": case.sweep}

    @staticmethod
    def _key(trace_sha256: str, row: Row) -> tuple:
        """What tells runs of a grid apart: it has one capacity, one link and whole traces."""
        return trace_sha256, *(row[name] for name in ("prefetch", "params", "address", "eviction", "demand"))


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
    runs: TraceRuns,
    section: Mapping[str, Any],
    part: str,
    tuned: Tuned,
    played: Played,
    progress: Progress = lambda label: None,
) -> list[Row]:
    """Rows of metrics of one part of the leaderboard on one trace, with the parameters that other traces chose."""

    def equal_bytes(control: Case, reference: Case) -> Row:
        target = runs.run(reference).issuer.issued

        def issued_with(blocks: float) -> int:
            return runs.run(replace(control, params={**control.params, "blocks": blocks})).issuer.issued

        return {**control.params, "blocks": blocks_for(issued_with, target)}

    cases = leaderboard_cases(section, part, tuned, equal_bytes)
    return [played.row(runs.sha256, case) or runs.row(case, progress) for case in cases]
