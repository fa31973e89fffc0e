"""How fast the engine is on a GPU, against bars that were stated beforehand, from what `benchmarks/cuda.py` wrote.

A row that the shipped run lacks is printed as not measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.paper import tex

Row = dict[str, Any]
Source = dict | str | Path | None
UNKNOWN = "not measured in the shipped run"


def load(source: Source) -> dict:
    """What the benchmark wrote: `rows`, each with `what`, and `provenance`. Both empty where there is no file."""
    if source is None:
        return {"rows": [], "provenance": {}}
    if isinstance(source, dict):
        return source
    try:
        found = json.loads(Path(source).read_text())
        return {"rows": [dict(row, what=row["what"]) for row in found["rows"]], "provenance": dict(found["provenance"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PagedKVError(f"{source}: not what benchmarks/cuda.py writes ({type(error).__name__})") from error


def row_of(found: dict, what: str) -> Row:
    """The row whose `what` begins so; empty if the run has none."""
    return next((row for row in found["rows"] if row["what"].startswith(what)), {})


def memory_rate(found: dict) -> float:
    """Best read-only streaming rate of the run, GB/s."""
    return row_of(found, "streaming").get("gb_s", math.nan)


def times(value: float) -> str:
    return rf"{value:.2f}$\times$" if tex.known(value) else tex.MISSING


def gb_s(value: float) -> str:
    return rf"{_rate(value)}\,GB/s" if tex.known(value) else tex.MISSING


def ms(value: float) -> str:
    """Milliseconds, in the unit that suits them."""
    return tex.seconds(value * 1e-3)


def us(value: float) -> str:
    """Microseconds, in the unit that suits them."""
    return tex.seconds(value * 1e-6)


def _rate(value: float) -> str:
    return tex.number(value, 4 if value >= 1000 else 3)


@dataclass(frozen=True)
class Bar:
    """`limit` on the column `key` of the row whose `what` begins with `row`.

    `time`: what was timed; `against` and `share`: what was measured in the same run to hold it against, given the row
    and the memory rate, and the column with its share of that. The text calls the verdict `speed-verdict-NAME`.
    """

    name: str
    row: str
    title: str
    key: str
    relation: str
    limit: float
    form: Callable[[float], str]
    time: Callable[[Row], str] = lambda row: tex.BLANK
    against: Callable[[Row, float], str] = lambda row, memory: tex.BLANK
    share: str = ""

    def verdict(self, row: Row) -> str:
        value = row.get(self.key, math.nan)
        if not tex.known(value):
            return UNKNOWN
        kept = {"least": value >= self.limit, "most": value <= self.limit, "below": value < self.limit}
        return "met" if kept[self.relation] else "missed"


RELATIONS = {"least": r"$\ge$", "most": r"$\le$", "below": "$<$"}


def _memory(row: Row, memory: float) -> str:
    return f"memory, {gb_s(memory)}"


def _step(batch: int, floor: float, vllm: float) -> tuple[Bar, Bar]:
    row, title = f"decode step, batch {batch},", f"decode step, batch {batch}"
    more = {"time": lambda r: ms(r["ms"]), "against": _memory, "share": "share_of_rate"}
    return (
        Bar(f"floor-{batch}", row, f"{title}: over its floor", "over_floor", "most", floor, times, **more),
        Bar(f"vllm-{batch}", row, f"{title}: against vLLM", "ms", "below", vllm, ms, **more),
    )


def _attention(batch: int, context: int) -> Bar:
    what = f"decode attention, batch {batch}, context {context}"
    more = {"time": lambda r: us(r["us"]), "against": _memory, "share": "share_of_rate"}
    return Bar(f"attention-{batch}", what, what, "share_of_rate", "least", 0.85, tex.percent, **more)


BARS = (
    Bar(
        "swap", "swap-in of", "swap-in of scattered blocks", "share_of_large", "least", 0.95, tex.percent,
        against=lambda r, memory: f"large copy, {gb_s(r['large_copy_gb_s'])}", share="share_of_large",
    ),
    Bar(
        "slow-down", "swap-in beside decode", "decode slowed by swap-in", "slow_down", "most", 0.03, tex.percent,
        lambda r: ms(r["beside_ms"]), lambda r, memory: f"decode alone, {ms(r['decode_ms'])}",
    ),
    *_step(64, 1.20, 9.46),
    *_step(1, 1.25, 5.03),
    Bar(
        "host", "host work a step", "host work a step, batch 64", "us_p50", "most", 200.0, us,
        lambda r: us(r["us_p50"]),
    ),
    _attention(32, 8192),
    _attention(4, 32768),
)  # fmt: skip
"""As the design states them; none is ever moved."""


def verdict_text(word: str) -> str:
    colour = {"met": "pkvholds", "missed": "pkvrefuted"}.get(word, "pkvundecided")
    return rf"\textcolor{{{colour}}}{{\textsf{{{word}}}}}"


def table(found: dict) -> str:
    """A row a bar: time, bytes moved a second, the limit, the share of it, the value that is judged, bar, verdict."""
    header = ["what", "time", "GB/s", "limit in the same run", "of it", "value", "bar", "verdict"]
    return tex.tabular("lrrlrrrl", header, [_cells(bar, row_of(found, bar.row), memory_rate(found)) for bar in BARS])


def _cells(bar: Bar, row: Row, memory: float) -> list[str]:
    asked, verdict = f"{RELATIONS[bar.relation]} {bar.form(bar.limit)}", bar.verdict(row)
    if verdict == UNKNOWN:
        return [bar.title, *[tex.BLANK] * 5, asked, verdict_text(verdict)]
    return [
        bar.title,
        bar.time(row),
        tex.cell(_rate(row.get("gb_s", math.nan))),
        bar.against(row, memory),
        tex.cell(tex.percent(row.get(bar.share, math.nan))),
        bar.form(row[bar.key]),
        asked,
        verdict_text(verdict),
    ]
