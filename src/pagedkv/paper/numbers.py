"""Every number that the text quotes: a key, a function over the rows, a rounding rule and a unit.

`\\val{key}` prints one; a key that is not here stops the build with its name. Keys of the form `name/SCENARIO` exist
for every scenario of the build and every embedded one. What a build has no rows for prints as n/a.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.files import write_whole
from pagedkv.paper import (
    fidelity_numbers,
    fidelity_rows,
    frames,
    origin,
    predict_numbers,
    predict_rows,
    speed,
    speed_numbers,
    tex,
    vllm,
)

EMBEDDED = ("rotation", "longdoc", "fits", "chat", "agent", "code", "azure_conv")


@dataclass(frozen=True)
class Inputs:
    """Where the numbers come from. Without `claims` their counts come from claims.tex alone; `benchmark`: what
    benchmarks/cuda.py wrote."""

    metrics: frames.Source
    serve: frames.Source
    claims: str | Path | list | None = None
    calibration: str | Path | dict | None = None
    fidelity: fidelity_rows.Source = None
    benchmark: speed.Source = None
    predict: predict_rows.Source = None
    decisions: str | Path | None = None
    vllm: str | Path | None = None
    beside: Sequence[frames.Source] = ()


@dataclass(frozen=True)
class Rows:
    """What the functions below read: all runs, the policy matrix of what this build replayed itself, and the rest."""

    metrics: pd.DataFrame
    built: pd.DataFrame
    serve: pd.DataFrame
    claims: list[dict]
    calibration: dict

    def of(self, kind: str, eviction: str = "lru", address: str = "logical") -> pd.DataFrame:
        """Built rows of one family of policies."""
        rows = self.built
        return rows[(rows["kind"] == kind) & (rows["eviction"] == eviction) & (rows["address"] == address)]


Function = Callable[[Rows], float]
_ALL: dict[str, tuple[Function, Callable[[float], str]]] = {}


def quoted(key: str, form: Callable[[float], str] = tex.percent) -> Callable[[Function], Function]:
    """Register a function as the number that `\\val{key}` prints, formatted by `form`."""

    def add(function: Function) -> Function:
        if key in _ALL:
            raise PagedKVError(f"quoted number '{key}' is defined twice")
        _ALL[key] = (function, form)
        return function

    return add


def whole(value: float) -> str:
    """A count."""
    return f"{value:,.0f}".replace(",", r"\,") if tex.known(value) else tex.MISSING


def plain(value: float) -> str:
    """A ratio with two significant digits; infinite where nothing is known ahead."""
    return r"$\infty$" if math.isinf(value) else tex.number(value, 2)


def _get(rows: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(rows[column], errors="coerce") if column in rows else pd.Series(dtype=float)


def _extremes(key: str, rows: Callable[[Rows], pd.DataFrame], column: str, form=tex.percent) -> None:
    """Smallest, median and largest value of a column over some rows: `key-min`, `key-median`, `key-max`."""
    for how in ("min", "median", "max"):
        quoted(f"{key}-{how}", form)(lambda r, how=how: float(getattr(_get(rows(r), column), how)()))


def _best(rows: pd.DataFrame, level: int) -> pd.DataFrame:
    """The best run of each scenario among those of one level."""
    own = rows[rows["knowledge"] == level].dropna(subset=["stall_removed"])
    return own.loc[own.groupby("scenario")["stall_removed"].idxmax()]


def _total(column: str) -> Function:
    return lambda r: _get(r.built.drop_duplicates("scenario"), column).sum(min_count=1)


quoted("scenarios", whole)(lambda r: r.built["scenario"].nunique())
quoted("scenarios-recorded", whole)(lambda r: r.metrics[r.metrics["recorded"]]["scenario"].nunique())
quoted("policies", whole)(lambda r: r.built[r.built["kind"] != "none"]["series"].nunique())
quoted("runs", whole)(lambda r: (~r.metrics["recorded"]).sum())
quoted("runs-serve", whole)(lambda r: (~r.serve["recorded"]).sum())
quoted("requests", whole)(_total("requests"))
quoted("steps", whole)(_total("steps"))

_extremes("os-accuracy", lambda r: r.of("spatial"), "accuracy")
_extremes("os-coverage", lambda r: r.of("spatial"), "coverage")
_extremes("os-cross-step", lambda r: r.of("spatial"), "cross_step_share")
_extremes("os-removed", lambda r: r.of("spatial"), "stall_removed")
_extremes("physical-accuracy", lambda r: r.of("spatial", address="physical"), "accuracy")
_extremes("physical-coverage", lambda r: r.of("spatial", address="physical"), "coverage")
_extremes("physical-removed", lambda r: r.of("spatial", address="physical"), "stall_removed")
_extremes("plan-removed", lambda r: _best(r.of("schedule"), 4), "stall_removed")
_extremes("arrivals-removed", lambda r: _best(r.of("schedule"), 5), "stall_removed")
_extremes("plan-accuracy", lambda r: r.of("schedule"), "accuracy")
_extremes("plan-cross-step", lambda r: r.of("schedule"), "cross_step_share")
_extremes("oracle-removed", lambda r: _best(r.of("oracle"), 6), "stall_removed")
_extremes("bound-removed", lambda r: r.of("none"), "bound_removed")
_extremes("plan-aware-removed", lambda r: r.of("none", "plan_aware"), "stall_removed")
_extremes("min-removed", lambda r: r.of("none", "min"), "stall_removed")
_extremes("rho", lambda r: r.of("none"), "rho", plain)


def _demand(r: Rows, mode: str) -> pd.DataFrame:
    rows = r.metrics[~r.metrics["recorded"] & (r.metrics["demand"] == mode) & (r.metrics["link_scale"] == 1)]
    return frames.reference(rows[rows["removed_of_page"].notna()]).drop_duplicates("scenario")


_extremes("batching-removed", lambda r: _demand(r, "D-step"), "removed_of_page")
_extremes("layering-removed", lambda r: _demand(r, "D-layer"), "removed_of_page")


def _relative(column: str, how: str, kind: str | None = None) -> Function:
    """By how much the best closed-loop run differs from `none`."""

    def function(r: Rows) -> float:
        rows = frames.relative(r.serve[~r.serve["recorded"]], [column])
        rows = rows[rows["kind"] == kind] if kind else rows
        return abs(float(getattr(_get(rows, column), how)()) - 1)

    return function


quoted("serve-throughput-max")(_relative("tokens_s", "max"))
quoted("serve-ttft-p50-min")(_relative("ttft_p50_s", "min"))


for _verdict in ("holds", "refuted", "undecided"):
    quoted(f"claims-{_verdict}", whole)(lambda r, v=_verdict: sum(c["verdict"] == v for c in r.claims))
quoted("claims", whole)(lambda r: len(r.claims))


def _link(r: Rows) -> dict:
    return r.calibration.get("host_to_device", {})


quoted("link-bandwidth", lambda v: f"{tex.number(v / 1e9, 3)}\\,GB/s" if tex.known(v) else tex.MISSING)(
    lambda r: _link(r).get("bytes_per_s", math.nan)
)
quoted("link-submission", tex.seconds)(lambda r: _link(r).get("submit_s", math.nan))
quoted("link-piece", tex.seconds)(lambda r: max(_link(r).get("piece_s", [[0, math.nan]]))[1])


def _by_scenario(matrix: pd.DataFrame) -> Iterator[tuple[str, float, str]]:
    """(key, value, text) for every scenario of the build."""
    present = frames.scenarios(matrix)
    for pair in [*present, *((s, False) for s in EMBEDDED if (s, False) not in present)]:
        rows = frames.of_scenario(matrix, pair)
        lru = rows[rows["eviction"].isin(frames.LRU)]
        best = {
            "os": lru[(lru["kind"] == "spatial") & (lru["address"] == "logical")],
            "plan": lru[lru["kind"] == "schedule"],
            "oracle": lru[lru["kind"] == "oracle"],
        }
        name = pair[0] + ("-recorded" if pair[1] else "")
        none = lru[lru["kind"] == "none"]
        yield f"rho/{name}", *_pair(_get(none, "rho").median(), plain)
        yield f"unknowable/{name}", *_pair(_get(none, "unknowable_share").median(), tex.percent)
        yield f"stall/{name}", *_pair(_get(none, "stall_s").median(), tex.seconds)
        yield f"bound-removed/{name}", *_pair(none["bound_removed"].median(), tex.percent)
        for key, group in best.items():
            yield f"{key}-removed/{name}", *_pair(_get(group, "stall_removed").max(), tex.percent)
        for eviction in ("plan_aware", "min"):
            alone = rows[(rows["kind"] == "none") & (rows["eviction"] == eviction)]
            key = eviction.replace("_", "-")
            yield f"{key}-removed/{name}", *_pair(_get(alone, "stall_removed").median(), tex.percent)


def _pair(value: float, form: Callable[[float], str]) -> tuple[float, str]:
    return float(value), form(float(value))


def values(inputs: Inputs) -> dict[str, dict]:
    """Key to value and text, for every key that the text may quote."""
    claims, calibration = _json(inputs.claims or []), _json(inputs.calibration or {})
    runs = frames.load(inputs.metrics)
    matrix = frames.main(runs)
    rows = Rows(runs, matrix[~matrix["recorded"]], frames.load(inputs.serve), claims, calibration)
    made = {}
    for key, (function, form) in _ALL.items():
        value = float(function(rows))
        made[key] = {"value": value if math.isfinite(value) else None, "text": form(value)}
    made["origin"] = {"value": None, "text": origin.origin(rows.metrics, calibration)}
    made["calibration-device"] = {"value": None, "text": origin.device(calibration)}
    more = (
        fidelity_numbers.values(fidelity_rows.load(inputs.fidelity)),
        speed_numbers.values(speed.load(inputs.benchmark), calibration),
        predict_numbers.values(predict_rows.load(inputs.predict), runs, inputs.decisions),
        vllm.values(vllm.load(inputs.vllm), runs, vllm.load_beside(inputs.beside)),
    )
    for key, value, text in chain(_by_scenario(matrix), *more):
        made[key] = {"value": value if math.isfinite(value) else None, "text": text}
    return made


def latex(made: dict[str, dict]) -> str:
    """The definitions that provenance.sty reads."""
    lines = [rf"\pkvdefnumber{{{key}}}{{{made[key]['text']}}}" for key in sorted(made)]
    return "\n".join(["% Generated by `pagedkv numbers`.", *lines, ""])


def _json(path: str | Path | list | dict) -> object:
    """What a file holds, or what was given in its place."""
    if isinstance(path, list | dict):
        return path
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise PagedKVError(f"{path}: not a readable JSON file ({type(error).__name__})") from error


def write(inputs: Inputs, out_tex: str | Path, out_json: str | Path) -> None:
    """Write numbers.tex and numbers.json."""
    made = values(inputs)
    write_whole(out_json, json.dumps(made, indent=1, sort_keys=True) + "\n")
    write_whole(out_tex, latex(made))
