"""Claims: hypotheses written before the results, each a predicate over the metrics that the build evaluates.

`report/claims.yaml` is a list under `claims:`. A claim has

    id         letters, digits and hyphens
    text       the hypothesis as a sentence; {value}, {low}, {high} and {threshold} are filled in
    refuted    the sentence that the report prints instead where the measurement says otherwise
    table      metrics (default), serve, or fidelity (the simulator beside a GPU; `pagedkv.fidelity.table`)
    measure    {where, metric, reduce}
    minus      optional, the same form: subtracted within each group
    by         columns that make the groups; default [scenario, recorded]
    across     reducer over the groups: min, max, mean or median; default that of `measure`
    compare    one of < <= > >=
    threshold  a number
    unit       share (default; printed in percent) or number

`where` maps columns to what their value must be: a scalar, a list (one of), or a mapping of tests
{lt, le, gt, ge, ne, known}, all of which must hold. Derived columns are in `pagedkv.paper.frames`. Nothing of the file
is executed. Rows of earlier runs (`recorded`) count only if a claim says `recorded: true` or `recorded: [true, false]`.

A claim holds or is refuted by its value alone; it is undecided if no row has a value. The interval says how far the
value can be trusted: it is the confidence interval of the rows that decided it where the metric has one
(`METRIC_lo`, `METRIC_hi`), else the range over the groups.
"""

from __future__ import annotations

import json
import math
import operator
import re
from pathlib import Path

import pandas as pd
import yaml

from pagedkv.errors import PagedKVError
from pagedkv.files import write_whole
from pagedkv.paper import fidelity_rows, frames, tex

COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SYMBOL = {"<": "$<$", "<=": r"$\le$", ">": "$>$", ">=": r"$\ge$"}
TESTS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "ne": operator.ne}
REDUCE = ("min", "max", "mean", "median")
KEYS = {"id", "text", "refuted", "table", "measure", "minus", "by", "across", "compare", "threshold", "unit"}
NEEDED = ("id", "text", "refuted", "measure", "compare", "threshold")
VERDICTS = ("holds", "refuted", "undecided")
BAND = pd.DataFrame


def read(path: str | Path) -> list[dict]:
    """The claims of a file, checked."""
    path = Path(path)
    try:
        claims = yaml.safe_load(path.read_text())["claims"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise PagedKVError(f"{path}: not a readable list of claims ({type(error).__name__})") from error
    seen = set()
    for place, claim in enumerate(claims, 1):
        name = claim.get("id", f"number {place}")
        _check(path, name, claim)
        if name in seen:
            raise PagedKVError(f"{path}: claim {name}: the id is used twice")
        seen.add(name)
    return claims


def _check(path: Path, name: str, claim: dict) -> None:
    def fail(cause: str) -> None:
        raise PagedKVError(f"{path}: claim {name}: {cause}")

    for key in NEEDED:
        if key not in claim:
            fail(f"'{key}' is missing")
    for key in claim.keys() - KEYS:
        fail(f"unknown key '{key}'")
    if not re.fullmatch(r"[A-Za-z0-9-]+", str(name)):
        fail("the id may have letters, digits and hyphens only")
    if claim["compare"] not in COMPARE:
        fail(f"compare is '{claim['compare']}', not one of {' '.join(COMPARE)}")
    if isinstance(claim["threshold"], bool) or not tex.known(claim["threshold"]):
        fail("threshold is not a number")
    for part in ("measure", "minus"):
        if part in claim and set(claim[part]) - {"where"} != {"metric", "reduce"}:
            fail(f"'{part}' needs metric and reduce, and may have where")
        if part in claim and claim[part]["reduce"] not in REDUCE:
            fail(f"'{part}' reduces by '{claim[part]['reduce']}', not one of {' '.join(REDUCE)}")
    if claim.get("across", "max") not in REDUCE:
        fail(f"across is '{claim['across']}', not one of {' '.join(REDUCE)}")


def select(rows: pd.DataFrame, where: dict, name: str) -> pd.DataFrame:
    """The rows that satisfy every test of `where`."""
    for column, want in ({"recorded": False} | where).items():
        if column not in rows:
            raise PagedKVError(f"claim {name}: column '{column}' is not in the metrics")
        values = rows[column]
        if isinstance(want, dict):
            for test, limit in want.items():
                if test == "known":
                    rows = rows[values.notna() == bool(limit)]
                elif test in TESTS:
                    rows = rows[TESTS[test](values, limit) & values.notna()]
                else:
                    raise PagedKVError(f"claim {name}: unknown test '{test}' on column '{column}'")
                values = rows[column]
        else:
            rows = rows[values.isin(want if isinstance(want, list) else [want])]
    return rows


def _measure(rows: pd.DataFrame, part: dict, by: list[str], name: str) -> BAND:
    """Value, low and high of one measure for each group."""
    metric, reduce = part["metric"], part["reduce"]
    if metric not in rows:
        raise PagedKVError(f"claim {name}: metric '{metric}' is not in the file")
    chosen = select(rows, part.get("where", {}), name)
    value = pd.to_numeric(chosen[metric], errors="coerce")
    low, high = (pd.to_numeric(chosen.get(f"{metric}_{e}", value * math.nan), errors="coerce") for e in ("lo", "hi"))
    band = pd.DataFrame({"value": value, "low": low, "high": high})[value.notna()]
    groups = [chosen.loc[band.index, c] for c in by]
    return getattr(band.groupby(groups, dropna=False), reduce)()


def decide(claim: dict, tables: dict[str, pd.DataFrame]) -> dict:
    """One claim with its measured value, interval and verdict."""
    name, by = claim["id"], claim.get("by", ["scenario", "recorded"])
    rows = tables[claim.get("table", "metrics")]
    for column in by:
        if column not in rows:
            raise PagedKVError(f"claim {name}: column '{column}' is not in the metrics")
    band = _measure(rows, claim["measure"], by, name)
    if "minus" in claim:
        other = _measure(rows, claim["minus"], by, name)
        band = pd.DataFrame(
            {
                "value": band["value"] - other["value"],
                "low": band["low"] - other["high"],
                "high": band["high"] - other["low"],
            }
        ).dropna(subset="value")
    across = claim.get("across", claim["measure"]["reduce"])
    result = {"id": name, "verdict": "undecided", "value": None, "low": None, "high": None, "interval": "none"}
    result |= {"groups": len(band), "compare": claim["compare"], "threshold": claim["threshold"]}
    result |= {"unit": claim.get("unit", "share"), "crosses": False}
    if len(band):
        value = float(getattr(band["value"], across)())
        result["value"] = value
        result["verdict"] = "holds" if COMPARE[claim["compare"]](value, claim["threshold"]) else "refuted"
        result |= _interval(band, across, value)
        result["crosses"] = result["low"] < claim["threshold"] < result["high"]
    sentence = claim["refuted"] if result["verdict"] == "refuted" else claim["text"]
    result["text"] = _fill(claim["text"], result)
    result["sentence"] = _fill(sentence, result)
    return result


def _interval(band: BAND, across: str, value: float) -> dict:
    if band[["low", "high"]].notna().all(axis=None):
        ends = [float(getattr(band[end], across)()) for end in ("low", "high")]
        return {"low": min(*ends, value), "high": max(*ends, value), "interval": "confidence"}
    return {"low": float(band["value"].min()), "high": float(band["value"].max()), "interval": "range"}


def show(value: float | None, unit: str) -> str:
    """A value of a claim as LaTeX."""
    value = math.nan if value is None else value
    return tex.percent(value) if unit == "share" else tex.number(value, 3)


def limit(result: dict) -> str:
    """The threshold of a claim as LaTeX, without an idle decimal."""
    return show(result["threshold"], result["unit"]).replace(r".0\,", r"\,")


def _fill(sentence: str, result: dict) -> str:
    parts = {k: show(result[k], result["unit"]) for k in ("value", "low", "high")} | {"threshold": limit(result)}
    return re.sub(r"\{(value|low|high|threshold)\}", lambda m: parts[m[1]], " ".join(sentence.split()))


def latex(results: list[dict]) -> str:
    """Definitions for provenance.sty and the rows of the report's table of claims."""
    lines = ["% Generated by `pagedkv claims`."]
    for r in results:
        interval = (
            f"[{show(r['low'], r['unit'])}, {show(r['high'], r['unit'])}]" if r["value"] is not None else tex.BLANK
        )
        target = f"{SYMBOL[r['compare']]} {limit(r)}"
        value = tex.cell(show(r["value"], r["unit"]))
        lines.append(
            rf"\pkvdefclaim{{{r['id']}}}{{{r['verdict']}}}{{{value}}}{{{interval}}}{{{target}}}{{{r['sentence']}}}"
        )
    counts = {"claims": len(results)}
    counts |= {f"claims-{v}": sum(r["verdict"] == v for r in results) for v in VERDICTS}
    lines += [rf"\pkvdefnumber{{{key}}}{{{count}}}" for key, count in counts.items()]
    rows = []
    for place, r in enumerate(results, 1):
        kind = {"confidence": r"\,c", "range": r"\,r"}.get(r["interval"], "")
        note = r"$^\ast$" if r["crosses"] and r["interval"] == "confidence" else ""
        rows.append(
            rf"{place} & \leavevmode\hypertarget{{claim-{r['id']}}}{{}}{r['text']} & \claimtarget{{{r['id']}}} & "
            rf"\claimvalue{{{r['id']}}} & \claiminterval{{{r['id']}}}{kind} & \verdict{{{r['id']}}}{note} \\"
        )
    return "\n".join([*lines, r"\newcommand{\claimrows}{%", *rows, "}", ""])


def evaluate(
    spec: str | Path,
    metrics: frames.Source,
    serve: frames.Source,
    out_json: str | Path,
    out_tex: str | Path,
    fidelity: fidelity_rows.Source = None,
) -> list[dict]:
    """Evaluate every claim of `spec` and write both files; returns the results."""
    tables = {"metrics": frames.load(metrics), "serve": frames.load(serve), "fidelity": fidelity_rows.load(fidelity)}
    results = [decide(claim, tables) for claim in read(spec)]
    write_whole(out_json, json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_whole(out_tex, latex(results))
    return results


def plain(latex_text: str) -> str:
    """A sentence for the terminal."""
    for old, new in ((r"\,", " "), (r"\%", "%"), (r"\_", "_"), (r"$\rho$", "rho"), ("$-$", "-"), ("$", ""), ("~", " ")):
        latex_text = latex_text.replace(old, new)
    return re.sub(r"\\[a-z]+\{([^}]*)\}", r"\1", latex_text).replace("\\", "")


def print_claims(path: str | Path) -> None:
    """The claims of a `claims.json`, a line each, for the end of a run."""
    results = json.loads(Path(path).read_text())
    width = max((len(r["id"]) for r in results), default=0)
    for r in results:
        value = plain(show(r["value"], r["unit"]))
        target = f"{r['compare']} {plain(limit(r))}"
        print(f"  {r['verdict']:<9}  {r['id']:<{width}}  {value} ({target})")
    counts = {v: sum(r["verdict"] == v for r in results) for v in VERDICTS}
    print("  " + ", ".join(f"{n} {v}" for v, n in counts.items()))
