"""Every policy side by side: which runs the leaderboard asks for, and with which parameters.

A policy with a `grid` is tuned before it is judged. Its parameters for one scenario are those that removed the most
stall on the *other* scenarios of the leaderboard, so that it is judged on a family of traces that it was not tuned on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case, addresses_of

if TYPE_CHECKING:
    import pandas as pd

Tuned = Mapping[str, Mapping[str, Any]]
"""Key of an entry (`key_of`) -> its `params` for one scenario, and how they were found."""

EqualBytes = Callable[[Case, Case], dict[str, Any]]
"""(control, reference) -> parameters with which the control moves as many blocks as the reference."""

OTHERS = "others"
"""The part of the leaderboard with all evictions that are not crossed with every policy."""


def key_of(entry: Mapping[str, Any], address: str) -> str:
    """Name of an entry of the configuration under one addressing, as `tuned.json` has it."""
    fixed = json.dumps(entry.get("params", {}), sort_keys=True)
    return f"{entry['prefetch']} {fixed} {address} {entry.get('demand', 'D-step')}"


def parts(section: Mapping[str, Any]) -> list[str]:
    """Independent parts of a scenario's runs: one for each crossed eviction, and `OTHERS` where there are more."""
    more = set(section["evictions"]) - set(section["cross"])
    return [*section["cross"], *([OTHERS] if more else [])]


def leaderboard_cases(section: Mapping[str, Any], part: str, tuned: Tuned, equal_bytes: EqualBytes) -> Iterator[Case]:
    """The runs of one part of one scenario. Under a crossed eviction `none` and every policy; controls of equal bytes
    only under the first of them. Under the others `none` and the policies of `evicted`."""
    if part not in parts(section):
        raise PagedKVError(f"leaderboard: there is no part '{part}'; there are {', '.join(parts(section))}")
    at = Case("none", sweep="every")
    if part == OTHERS:
        for eviction in section["evictions"]:
            if eviction not in section["cross"]:
                yield replace(at, eviction=eviction)
                yield from (replace(case, eviction=eviction) for _, _, case in _entries(section["evicted"], at))
        return
    yield replace(at, eviction=part)
    for entry, address, case in _entries(section["policies"], replace(at, eviction=part)):
        if "grid" in entry:
            case = replace(case, params=tuned[key_of(entry, address)]["params"])
        if like := entry.get("bytes_of"):
            if part != section["cross"][0]:
                continue
            reference = replace(at, prefetch=like["prefetch"], params=like.get("params", {}), eviction=part)
            case = replace(case, params=equal_bytes(case, reference))
        yield case


def grid_cases(section: Mapping[str, Any]) -> Iterator[tuple[str, Case]]:
    """(key of the entry, run) for every point of every grid, under LRU."""
    at = Case("none", sweep="grid")
    for entry, address, case in _entries(section["policies"], at):
        if "grid" in entry:
            for params in grid_points(entry):
                yield key_of(entry, address), replace(case, params=params)


def grid_points(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All combinations of an entry's grid, over its fixed parameters, in the order in which they are written."""
    names = list(entry["grid"])
    points = product(*(entry["grid"][name] for name in names))
    return [{**entry.get("params", {}), **dict(zip(names, point, strict=True))} for point in points]


def _entries(entries: Iterable[Mapping[str, Any]], at: Case) -> Iterator[tuple[Mapping[str, Any], str, Case]]:
    for entry in entries:
        for address in addresses_of(entry):
            case = replace(at, prefetch=entry["prefetch"], params=entry.get("params", {}), address=address)
            yield entry, address, replace(case, demand=entry.get("demand", "D-step"))


def tune(grids: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, dict[str, Any]]]:
    """Winners by scenario and entry: the parameters with the best mean share of stall removed on the other scenarios.

    `grids`: scenario -> rows with `key`, `point` (JSON) and `stall_removed`. A scenario without any stall decides
    nothing. Of equally good points the first one written wins, so that where nothing helps the first stays.
    """
    scores = {name: _scores(rows) for name, rows in grids.items()}
    judged: dict[str, dict[str, dict[str, Any]]] = {}
    for name in grids:
        others = [other for other in grids if other != name]
        if not others:
            raise PagedKVError("leaderboard: tuning needs at least two scenarios, to judge on one what others chose")
        judged[name] = {}
        for key, points in scores[name].items():
            means = {point: _mean(scores[other][key][point] for other in others) for point in points}
            if not any(map(math.isfinite, means.values())):
                raise PagedKVError(f"leaderboard: none of {', '.join(others)} stalls, so that they cannot tune '{key}'")
            best = max(means, key=lambda point: means[point])
            judged[name][key] = {
                "params": json.loads(best),
                "removed_on_others": means[best],
                "removed_by_first": next(iter(means.values())),
                "tuned_on": [other for other in others if math.isfinite(scores[other][key][best])],
                "points": len(points),
            }
    return judged


def _scores(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Entry -> point -> share of stall removed, in the order of the rows."""
    found: dict[str, dict[str, float]] = {}
    for row in rows.itertuples():
        found.setdefault(row.key, {})[row.point] = float(row.stall_removed)
    return found


def _mean(shares: Iterable[float]) -> float:
    known = [share for share in shares if np.isfinite(share)]
    return float(np.mean(known)) if known else math.nan
