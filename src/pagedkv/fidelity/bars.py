"""The bars, stated in advance (design section 9) and never moved, and what a run is off by in their terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pagedkv.fidelity.columns import TERMS

Row = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """A limit on a column of rows of one kind: on the largest value, or on the smallest where `least`."""

    name: str
    title: str
    kind: str
    column: str
    limit: float
    least: bool = False

    def kept(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


BARS = (
    Bar("decisions", "fed: decisions exact", "closed", "decisions_exact", 1.0, least=True),
    Bar("fed bytes", "fed: bytes exact", "closed", "bytes_exact", 1.0, least=True),
    Bar("bytes", "free-running: bytes", "closed", "bytes_off", 0.02),
    Bar("step", "step time, mean absolute error", "closed", "step_off", 0.03),
    Bar("tpot", "TPOT, mean", "closed", "tpot_off", 0.03),
    Bar("end to end", "end to end, mean", "closed", "end_to_end_off", 0.05),
    Bar("ttft", "TTFT, mean", "closed", "ttft_off", 0.10),
    Bar("order", "order of policies, Kendall's tau", "order", "tau", 0.9, least=True),
)


def off(row: Row) -> Row:
    """How far off a free run is in terms of the bars, without signs. `worst`: the largest of them in multiples of its
    bar; `missed`: which bars that breaks."""
    found = {
        "bytes_off": max(abs(row["h2d_bytes_error"]), abs(row["d2h_bytes_error"])),
        "step_off": row["step_mape"],
        "tpot_off": abs(row["tpot_mean_s_error"]),
        "end_to_end_off": abs(row["end_to_end_mean_s_error"]),
        "ttft_off": abs(row["ttft_mean_s_error"]),
    }
    limits = {bar.column: bar for bar in BARS if bar.column in found}
    known = [column for column, value in found.items() if not math.isnan(value)]
    missed = [limits[column].name for column in known if not limits[column].kept(found[column])]
    worst = max((found[column] / limits[column].limit for column in known), default=math.nan)
    return found | {"worst": worst, "missed": ", ".join(missed)}


def bar_rows(rows: list[Row]) -> list[Row]:
    """A row a bar: the value that decides it, of which run that is, the verdict, and the cause where it is missed."""
    return [_judged(bar, [row for row in rows if row["kind"] == bar.kind]) for bar in BARS]


def _judged(bar: Bar, rows: list[Row]) -> Row:
    made: Row = {"kind": "bar", "bar": bar.name, "title": bar.title, "limit": bar.limit, "verdict": "not measured"}
    rows = [row for row in rows if not math.isnan(row.get(bar.column, math.nan))]
    if not rows:
        return made
    decides = (min if bar.least else max)(rows, key=lambda row: row[bar.column])
    kept = bar.kept(decides[bar.column])
    made |= {key: decides.get(key, "") for key in ("scenario", "prefetch", "family", "eviction", "label")}
    made |= {"value": decides[bar.column], "verdict": "kept" if kept else "missed"}
    return made | ({} if kept else {"cause": _cause(bar, decides)})


def _cause(bar: Bar, row: Row) -> str:
    """What contributed most to a miss, from the row that decided it."""
    if bar.kind == "order":
        return row["unlike"]
    if bar.name in ("decisions", "fed bytes"):
        return row["first_difference"]
    if bar.name == "bytes":
        return f"decisions: the schedule differs in {row['schedule_distance']:.0%} of its steps"
    if bar.name == "step":
        share = row["step_prompt_share"]
        kind, part = ("with prompt chunks", share) if share > 0.5 else ("of decoding alone", 1 - share)
        return f"steps {kind}: {part:.0%} of the absolute error"
    # Idle time is what is left when the others are too short: an effect, not a cause.
    term = max((name for name in TERMS if name != "term_idle"), key=lambda name: abs(row[name]))
    way = "long" if row[term] > 0 else "short"
    return f"{TERMS[term]}: too {way} by {abs(row[term]):.1%} of the elapsed time"
