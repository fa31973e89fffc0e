"""Tables of every policy side by side: who wins where, everything that is measured of each, and how it was tuned."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd

from pagedkv.paper import frames, tex

BEST = 6
"""Policies of the short table that are listed by rank; behind them the best of each kind that is not among them."""
KINDS = ("spatial", "other", "none")


DEMANDS = ("D-step", "D-layer")
"""Modes of the leaderboard; a run is compared with `none` under LRU in its own mode, so that each has its own ranks."""


def rows_of(metrics: pd.DataFrame, demand: str = "D-step") -> pd.DataFrame:
    """The leaderboard's runs at the recorded capacity and link, every policy under each eviction it ran with."""
    return frames.main(metrics, demand, ("every",))


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each policy the runs that the value of information speaks of: under LRU, and for those that read the plan also
    under the eviction of the policy's own level (a better eviction raises the level of a run); of `none` all."""
    lru = rows["eviction"].isin(frames.LRU)
    level = rows.groupby(["scenario", "recorded", "series", "params"])["knowledge"].transform("min")
    own = level.map(frames.MATCHED) == rows["eviction"]
    schedule = rows["kind"].isin(["schedule", "oracle"])
    return rows[lru | (schedule & own) | (rows["kind"] == "none")]


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one scenario, most stall removed first; `rank` counts equals alike."""
    known = rows[rows["stall_removed"].notna()]
    known = known.sort_values(["stall_removed", "series", "eviction"], ascending=[False, True, True], kind="stable")
    return known.assign(rank=known["stall_removed"].round(4).rank(method="min", ascending=False).astype(int))


def seed_ranks(metrics: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """(scenario, series, eviction) -> lowest and highest rank over the seeds, among the policies that ran there."""
    rows = metrics[metrics["sweep"] == "seeds"]
    if rows.empty:
        return {}
    rows = rows.assign(stall_removed=rows["stall_removed"].round(4))
    rank = rows.groupby(["scenario", "seed"])["stall_removed"].rank(method="min", ascending=False)
    spans = rows.assign(rank=rank).groupby(["scenario", "series", "eviction"])["rank"].agg(["min", "max"]).dropna()
    return {key: _span(int(low), int(high)) for key, (low, high) in zip(spans.index, spans.to_numpy(), strict=True)}


def seed_span(metrics: pd.DataFrame, scenario: str, series: str, eviction: str = "lru") -> tuple[float, float, float]:
    """(lowest, median, highest) share of stall removed over the seeds under which anything stalls; NaN without any."""
    rows = metrics[(metrics["sweep"] == "seeds") & (metrics["scenario"] == scenario) & (metrics["series"] == series)]
    removed = rows[rows["eviction"] == eviction]["stall_removed"].dropna()
    return (removed.min(), removed.median(), removed.max()) if len(removed) else (math.nan, math.nan, math.nan)


def seeds_with_stall(metrics: pd.DataFrame, scenario: str) -> tuple[int, int]:
    """(seeds under which demand loading stalls, all seeds) of a scenario."""
    rows = frames.reference(metrics[(metrics["sweep"] == "seeds") & (metrics["scenario"] == scenario)])
    return int((rows["stall_s"] > 0).sum()), rows["seed"].nunique()


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}--{high}"


def leaderboard(metrics: pd.DataFrame) -> str:
    """The best policies of each workload, and the best of each kind."""
    everything, spans = judged(rows_of(metrics)), seed_ranks(metrics)
    header = ["", "policy", "eviction", "level", r"stall removed (\%)", "gap", "traffic", "charged"]
    header += ["seeds (\\%)", "rank, seeds"]
    body: list = []
    for place, pair in enumerate(frames.scenarios(everything)):
        body.append(tex.group(tex.escape(frames.title(pair)), len(header), place == 0))
        for row in _chosen(ranked(frames.of_scenario(everything, pair))).itertuples():
            cells = [str(row.rank), tex.escape(row.series), tex.escape(row.eviction), f"I{int(row.knowledge)}"]
            cells += [_interval(row), _share(row, "optimality_gap"), _ratio(row, "amplification_blocks")]
            cells += [_share(row, "stall_removed_charged"), _seeds(metrics, row)]
            body.append([*cells, spans.get((row.scenario, row.series, row.eviction), tex.BLANK)])
    return tex.tabular("rllcrrrrrr", header, body)


def _seeds(metrics: pd.DataFrame, row: object) -> str:
    low, median, high = (tex.percent(v, unit=False) for v in seed_span(metrics, row.scenario, row.series, row.eviction))
    return tex.BLANK if median == tex.MISSING else f"{median} [{low}, {high}]"


def _chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """The best run of each of the best policies, and of the best one of each kind."""
    rows = rows.drop_duplicates(["series", "params", "demand"])
    rest = [rows[rows["kind"] == kind].head(1) for kind in KINDS]
    return pd.concat([rows.head(BEST), *rest]).drop_duplicates(["series", "params", "demand"]).sort_values("rank")


USE = {
    "accuracy": "acc.",
    "coverage": "cov.",
    "coverage_miss_based": "U/(U+M)",
    "cross_step_share": "cross",
    "lateness": "late",
    "pollution": "poll.",
    "overprediction": "overpr.",
}
COST = {
    "amplification_blocks": "blocks",
    "amplification_bytes": "bytes",
    "link_utilisation": "link",
    "link_prefetch_share": "prefetch",
}


def policies_use(metrics: pd.DataFrame) -> str:
    """How well every policy predicts: the measures of prediction, by workload."""
    header = ["policy", "eviction", "level", *USE.values(), "same step", "early", "timely"]
    return _table(metrics, header, "llc" + "r" * 10, _use_cells)


def _use_cells(row: object) -> list[str]:
    counts = [_count(row, column) for column in ("same_step", "early", "timely")]
    return [*(_share(row, column) for column in USE), *counts]


def policies_worth(metrics: pd.DataFrame) -> str:
    """What every policy is worth and costs, by workload."""
    header = ["policy", "eviction", r"removed (\%)", "stall", "gap", *COST.values(), "held", "us a step", "charged"]
    return _table(metrics, header, "llrrrrrrrrrr", _worth_cells)


def _worth_cells(row: object) -> list[str]:
    cells = [_interval(row), tex.cell(tex.seconds(_get(row, "stall_s"))), _share(row, "optimality_gap")]
    cells += [_ratio(row, column) if "amplification" in column else _share(row, column) for column in COST]
    cells += [_count(row, "unused_block_s"), _ratio(row, "decision_us_per_step")]
    return [*cells, _share(row, "stall_removed_charged")]


def _table(metrics: pd.DataFrame, header: list[str], columns: str, cells) -> str:
    body: list = []
    groups = [(demand, judged(rows_of(metrics, demand))) for demand in DEMANDS]
    for demand, pair, own in ((d, pair, rows) for d, rows in groups for pair in frames.scenarios(rows)):
        heading = f"{frames.title(pair)}, {demand}" if demand != DEMANDS[0] else frames.title(pair)
        body.append(tex.group(tex.escape(heading), len(header), not body))
        for row in ranked(frames.of_scenario(own, pair)).itertuples():
            named = [tex.escape(row.series), tex.escape(row.eviction)]
            named += [f"I{int(row.knowledge)}"] if "level" in header else []
            body.append([*named, *cells(row)])
    return tex.tabular(columns, header, body, long=True)


def tuned(path: str | Path | None) -> str:
    """Parameters that the other scenarios chose for each policy, by the scenario on which it was judged."""
    found = json.loads(Path(path).read_text()) if path is not None else {}
    keys = sorted({key for entries in found.values() for key in entries})
    body = [[_entry(key), *(_winner(found[scenario].get(key)) for scenario in found)] for key in keys]
    return tex.tabular("l" + "l" * len(found), ["policy", *map(tex.escape, found)], body, long=True)


def _entry(key: str) -> str:
    """`prefetch {params} address demand` as a table prints it."""
    name, rest = key.split(" ", 1)
    fixed, address, _ = rest.rsplit(" ", 2)
    params = json.loads(fixed)
    text = f"{name}({', '.join(f'{k}={v}' for k, v in params.items())})" if params else name
    return tex.escape(text if address == "logical" else f"{text} ({address})")


def _winner(won: dict | None) -> str:
    return tex.escape(", ".join(f"{k}={v}" for k, v in won["params"].items())) if won else tex.BLANK


def _get(row: object, column: str) -> float:
    value = getattr(row, column, math.nan)
    return float(value) if value is not None else math.nan


def _share(row: object, column: str) -> str:
    return tex.cell(tex.percent(_get(row, column), unit=False))


def _ratio(row: object, column: str) -> str:
    return tex.cell(tex.number(_get(row, column), 3))


def _count(row: object, column: str) -> str:
    value = _get(row, column)
    return f"{value:,.0f}".replace(",", r"\,") if tex.known(value) else tex.BLANK


def _interval(row: object) -> str:
    text, low, high = (_share(row, f"stall_removed{end}") for end in ("", "_lo", "_hi"))
    return text if tex.BLANK in (text, low, high) else f"{text} [{low}, {high}]"
