"""What the text quotes of predictability, of decisions, and of the leaderboard."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pagedkv.metric.decision_cost import read_costs
from pagedkv.paper import frames, predict_rows, tex
from pagedkv.paper.leaderboard import judged, ranked, rows_of, seed_span, seeds_with_stall
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
    own = {name: rows[rows["scenario"] == name] for name in shown}
    for key, stream in (("slots", "physical"), ("host", "host"), ("logical", "logical")):
        bits = pd.Series([predict_rows.least_bits(each, stream) for each in own.values()], dtype=float)
        for how in ("min", "max"):
            value = float(getattr(bits, how)())
            yield f"entropy-{key}-{how}", value, _bits(value)
    for part in ("who", "when"):
        value = float(predict_rows.of(rows, "schedule_bits", context="I4", stream=part)["value"].max())
        yield f"entropy-{part}-max", value, _bits(value)
    for stream in ("dense", "topk"):
        value = float(predict_rows.of(rows, "pages_given_schedule_bits", stream=stream)["value"].max())
        yield f"entropy-given-{stream}", value, _bits(value)
    value = float(predict_rows.of(rows, "jaccard")["value"].min())
    yield "jaccard-min", value, tex.percent(value)
    yield "horizon-ahead", float(AHEAD), f"{AHEAD}"
    jumps = predict_rows.of(rows, "lstm_first", stream="jumps")
    others = jumps[jumps["context"] != "trained on " + jumps["scenario"].astype(str)]["value"].max()
    yield "lstm-jumps-others", float(others), tex.percent(float(others))
    for name in dict.fromkeys([*shown, "rotation", "longdoc", "chat", "agent", "code", "azure_conv", "fits"]):
        own = rows[rows["scenario"] == name]
        for measure in ("recall", "precision"):
            value = predict_rows.one(own, measure, stream="stay", k=AHEAD)
            yield f"{measure}/{name}", value, tex.percent(value)


def _leaderboard(metrics: pd.DataFrame) -> Iterator[Number]:
    layered = rows_of(metrics, "D-layer")
    rows = judged(rows_of(metrics))
    rows = rows[~rows["recorded"]]
    yield "board-policies", *_whole(pd.concat([rows, layered])["prefetch"].nunique() - 1)
    yield "board-workloads", *_whole(rows["scenario"].nunique())
    names = [name for name, _ in frames.scenarios(rows)]
    for name in dict.fromkeys([*names, "rotation", "longdoc", "chat", "agent"]):
        own = rows[(rows["scenario"] == name) & rows["eviction"].isin(frames.LRU)]
        for key, group in _groups(ranked(own)).items():
            yield from _best(f"board-{key}", name, group)
        stalled, seeds = seeds_with_stall(metrics, name)
        yield f"seeds/{name}", float(seeds), f"{stalled} of {seeds}"
        low, median, high = seed_span(metrics, name, "LA-16 stay")
        spanned = f"{tex.percent(median)} [{tex.percent(low, unit=False)}, {tex.percent(high, unit=False)}]"
        yield f"seed-plan/{name}", median, spanned if tex.known(median) else tex.MISSING


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
    """The most stall removed by one kind of policy; which policy that is, its accuracy, and what is left if charged."""
    best = rows.head(1)
    for name, column in (
        (key, "stall_removed"),
        (f"{key}-charged", "stall_removed_charged"),
        (f"{key}-accuracy", "accuracy"),
    ):
        share = float(best[column].iloc[0]) if len(best) and column in best else math.nan
        yield f"{name}/{scenario}", share, tex.percent(share)
    who = rf"\policy{{{tex.escape(best['series'].iloc[0])}}}" if len(best) else tex.MISSING
    yield f"{key}-who/{scenario}", math.nan, who


def _whole(count: int) -> tuple[float, str]:
    return float(count), f"{count:,}".replace(",", r"\,")


def _decisions(path: str | Path | None) -> Iterator[Number]:
    rows = read_costs(path)
    dear = sorted(set(rows[rows["times_none"] > DEAR]["prefetch"]))
    names = ", ".join(rf"\policy{{{tex.escape(name)}}}" for name in dear) or "none"
    for key, own in (("max", rows), ("plan", rows[rows["prefetch"] == "la_k"])):
        cost = float(own["us_per_call"].max())
        yield f"decision-{key}", cost, tex.seconds(cost * 1e-6)
    yield "decision-limit", DEAR, f"{DEAR:.0f}"
    yield "decision-dear", float(len(dear)), names if len(rows) else tex.MISSING
