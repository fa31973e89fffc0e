"""What the text quotes of predictability, of decisions, and of the leaderboard."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pagedkv.paper import frames, predict_rows, tex
from pagedkv.paper.leaderboard import judged, ranked, rows_of
from pagedkv.paper.predict_tables import DEAR

Number = tuple[str, float, str]
AHEAD = 16
"""Horizon in steps at which recall and precision are quoted."""


def values(rows: pd.DataFrame, metrics: pd.DataFrame, decisions: str | Path | None) -> Iterator[Number]:
    """(key, value, text) of every number."""
    yield from _predictability(rows)
    yield from _leaderboard(metrics)
    yield from _decisions(decisions)


def _bits(value: float) -> str:
    return tex.number(value, 2)


def _predictability(rows: pd.DataFrame) -> Iterator[Number]:
    shown = predict_rows.with_faults(rows)
    rows = rows[rows["scenario"].isin(shown)]
    entropy = rows[rows["measure"] == "entropy_bits"].groupby(["scenario", "stream"])["value"].min()
    for key, stream in (("slots", "physical"), ("logical", "logical")):
        best = entropy[entropy.index.get_level_values("stream") == stream] if len(entropy) else entropy
        for how in ("min", "max"):
            value = float(getattr(best, how)()) if len(best) else math.nan
            yield f"entropy-{key}-{how}", value, _bits(value)
    schedule = predict_rows.of(rows, "schedule_bits", context="I4").groupby("scenario")["value"].sum()
    value = float(schedule.max()) if len(schedule) else math.nan
    yield "entropy-schedule-max", value, _bits(value)
    for stream in ("dense", "topk"):
        value = float(predict_rows.of(rows, "pages_given_schedule_bits", stream=stream)["value"].max())
        yield f"entropy-given-{stream}", value, _bits(value)
    value = float(predict_rows.of(rows, "jaccard")["value"].min())
    yield "jaccard-min", value, tex.percent(value)
    for name in dict.fromkeys([*shown, "rotation", "longdoc", "chat", "agent", "code", "azure_conv", "fits"]):
        own = rows[rows["scenario"] == name]
        for measure in ("recall", "precision"):
            value = predict_rows.one(own, measure, stream="stay", k=AHEAD)
            yield f"{measure}/{name}", value, tex.percent(value)


def _leaderboard(metrics: pd.DataFrame) -> Iterator[Number]:
    rows = judged(rows_of(metrics))
    rows = rows[~rows["recorded"]]
    yield "board-policies", *_whole(rows[rows["kind"] != "none"]["prefetch"].nunique())
    yield "board-runs", *_whole(len(metrics[metrics["sweep"].isin(["every", "grid"]) & ~metrics["recorded"]]))
    names = [name for name, _ in frames.scenarios(rows)]
    for name in dict.fromkeys([*names, "rotation", "longdoc", "chat", "agent"]):
        own = rows[(rows["scenario"] == name) & rows["eviction"].isin(frames.LRU) & (rows["demand"] == "D-step")]
        for key, group in _groups(ranked(own)).items():
            yield from _best(f"board-{key}", name, group)


def _groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    spatial = rows[rows["kind"] == "spatial"]
    return {
        "logical": spatial[spatial["address"] == "logical"],
        "slots": spatial[spatial["address"] != "logical"],
        "random": rows[rows["kind"] == "other"],
        "plan": rows[(rows["kind"] == "schedule") & (rows["knowledge"] == 4)],
        "true": rows[(rows["kind"] == "schedule") & (rows["knowledge"] == 5)],
        "oracle": rows[rows["kind"] == "oracle"],
    }


def _best(key: str, scenario: str, rows: pd.DataFrame) -> Iterator[Number]:
    best = rows.head(1)
    value = float(best["stall_removed"].iloc[0]) if len(best) else math.nan
    yield f"{key}/{scenario}", value, tex.percent(value)
    yield (
        f"{key}-who/{scenario}",
        value,
        rf"\policy{{{tex.escape(best['series'].iloc[0])}}}" if len(best) else tex.MISSING,
    )


def _whole(count: int) -> tuple[float, str]:
    return float(count), f"{count:,}".replace(",", r"\,")


def _decisions(path: str | Path | None) -> Iterator[Number]:
    rows = pd.DataFrame(json.loads(Path(path).read_text())["rows"]) if path is not None else None
    cost = float(rows["us_per_call"].max()) if rows is not None else math.nan
    plan = float(rows[rows["prefetch"] == "la_k"]["us_per_call"].max()) if rows is not None else math.nan
    dear = sorted(set(rows[rows["times_none"] > DEAR]["prefetch"])) if rows is not None else []
    names = ", ".join(rf"\policy{{{tex.escape(name)}}}" for name in dear) or "none"
    yield "decision-max", cost, tex.seconds(cost * 1e-6)
    yield "decision-plan", plan, tex.seconds(plan * 1e-6)
    yield "decision-dear", float(len(dear)), names if rows is not None else tex.MISSING
