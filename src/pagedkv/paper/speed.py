"""How fast the engine is on a GPU, against bars that were stated beforehand: rows of `benchmarks/cuda.py` as a table and
as numbers of the text. A row that the shipped run lacks is printed as not measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry
from pagedkv.paper import tex

Row = dict[str, Any]
Source = dict | str | Path | None
Quoted = tuple[str, float, str]


def load(source: Source) -> dict:
    """What the benchmark wrote: `rows`, each with `what`, and `provenance`. Both empty where there is no file."""
    if source is None:
        return {"rows": [], "provenance": {}}
    if isinstance(source, dict):
        return source
    try:
        found = json.loads(Path(source).read_text())
        return {"rows": [dict(row, what=row["what"]) for row in found["rows"]], "provenance": found["provenance"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PagedKVError(f"{source}: not what benchmarks/cuda.py writes ({type(error).__name__})") from error


def row_of(found: dict, what: str) -> Row:
    """The row whose `what` begins so; empty if the run has none."""
    return next((row for row in found["rows"] if row["what"].startswith(what)), {})


def times(value: float) -> str:
    return rf"{value:.2f}$\times$" if tex.known(value) else tex.MISSING


def rate(value: float) -> str:
    """GB/s without the unit."""
    return tex.number(value, 4 if value >= 1000 else 3)


def _gb_s(value: float) -> str:
    return rf"{rate(value)}\,GB/s" if tex.known(value) else tex.MISSING


def _ms(value: float) -> str:
    return tex.seconds(value * 1e-3)


def _us(value: float) -> str:
    return tex.seconds(value * 1e-6)


@dataclass(frozen=True)
class Bar:
    """A limit on `key` of the row that begins with `row`. `limit` and `share`: what the row is held against, measured in
    the same run, and the row's share of it."""

    row: str
    title: str
    measured: Callable[[Row], str]
    key: str
    bar: float
    form: Callable[[float], str]
    least: bool = False
    below: bool = False
    limit: Callable[[Row, float], str] = lambda row, memory: tex.BLANK
    share: str = ""

    def verdict(self, row: Row) -> str:
        value = row.get(self.key, math.nan)
        if not tex.known(value):
            return "not measured"
        kept = value >= self.bar if self.least else value < self.bar if self.below else value <= self.bar
        return "met" if kept else "missed"

    @property
    def relation(self) -> str:
        return r"$\ge$" if self.least else "$<$" if self.below else r"$\le$"


def _memory(row: Row, memory: float) -> str:
    return f"memory, {_gb_s(memory)}"


def _large_copy(row: Row, memory: float) -> str:
    return f"large copy, {_gb_s(row['large_copy_gb_s'])}"


def _step(batch: int, floor: float, vllm: float) -> tuple[Bar, Bar]:
    row, title = f"decode step, batch {batch},", f"decode step, batch {batch}, context 2048"
    limit = {"limit": _memory, "share": "share_of_rate"}
    return (
        Bar(row, f"{title}: over its floor", lambda r: _ms(r["ms"]), "over_floor", floor, times, **limit),
        Bar(row, f"{title}: against vLLM", lambda r: _ms(r["ms"]), "ms", vllm, _ms, below=True, **limit),
    )


def _attention(batch: int, context: int) -> Bar:
    what = f"decode attention, batch {batch}, context {context}"
    more = {"least": True, "limit": _memory, "share": "share_of_rate"}
    return Bar(what, what, lambda r: _us(r["us"]), "share_of_rate", 0.85, tex.percent, **more)


BARS = (
    Bar(
        "swap-in of", "swap-in of scattered blocks", lambda r: _gb_s(r["gb_s"]), "share_of_large", 0.95, tex.percent,
        least=True, limit=_large_copy, share="share_of_large",
    ),
    Bar(
        "swap-in beside decode", "decode slowed by swap-in", lambda r: f"{_ms(r['beside_ms'])} a step", "slow_down",
        0.03, tex.percent, limit=lambda r, memory: f"decode alone, {_ms(r['decode_ms'])}",
    ),
    *_step(64, 1.20, 9.46),
    *_step(1, 1.25, 5.03),
    Bar("host work a step", "host work a step, batch 64", lambda r: _us(r["us_p50"]), "us_p50", 200.0, _us),
    _attention(32, 8192),
    _attention(4, 32768),
)  # fmt: skip
"""Issue and design state them; none is ever moved."""


def table(found: dict) -> str:
    """A row a bar: measured, bytes moved a second, the limit, the share of it, what the bar asks for, the verdict."""
    memory = row_of(found, "streaming").get("gb_s", math.nan)
    return tex.tabular("lrrlrrrl", HEADER, [_cells(bar, row_of(found, bar.row), memory) for bar in BARS])


HEADER = ["what", "measured", "GB/s", "limit in the same run", "of it", "value", "bar", "verdict"]


def _cells(bar: Bar, row: Row, memory: float) -> list[str]:
    asked, verdict = f"{bar.relation} {bar.form(bar.bar)}", bar.verdict(row)
    if verdict == "not measured":
        return [
            bar.title,
            *[tex.BLANK] * 5,
            asked,
            r"\textcolor{pkvundecided}{\textsf{not measured in the shipped run}}",
        ]
    return [
        bar.title,
        bar.measured(row),
        tex.cell(rate(row.get("gb_s", math.nan))),
        bar.limit(row, memory),
        tex.cell(tex.percent(row.get(bar.share, math.nan))),
        bar.form(row[bar.key]),
        asked,
        rf"\textcolor{{{'pkvholds' if verdict == 'met' else 'pkvrefuted'}}}{{\textsf{{{verdict}}}}}",
    ]


def values(found: dict, calibration: dict) -> Iterator[Quoted]:
    """Every number of the section; the same keys whether anything was measured or not."""
    provenance = found["provenance"]
    yield "speed-device", math.nan, tex.escape(provenance.get("device", tex.MISSING))
    memory = row_of(found, "streaming").get("gb_s", math.nan)
    yield "speed-memory", memory, _gb_s(memory)
    for verdict in ("met", "missed", "not measured"):
        count = sum(bar.verdict(row_of(found, bar.row)) == verdict for bar in BARS)
        yield f"speed-{verdict.replace(' ', '-')}", float(count), f"{count}"
    yield "speed-bars", float(len(BARS)), f"{len(BARS)}"
    for key, what, column, form in _QUOTED:
        value = row_of(found, what).get(column, math.nan)
        yield f"speed-{key}", float(value), form(value)
    yield from _streamed(calibration, memory)


_DECODE = [
    (f"{key}-{batch}", f"decode step, batch {batch},", column, form)
    for batch in (64, 8, 1)
    for key, column, form in (
        ("step", "ms", _ms), ("over-floor", "over_floor", times), ("share", "share_of_rate", tex.percent),
        ("vllm", "vllm_ms", _ms),
    )
]  # fmt: skip
_HOST = [
    (f"host{key}", "host work a step", column, _us)
    for key, column in (
        ("", "us_p50"), ("-p99", "us_p99"), ("-decide", "host_decide_us_p50"), ("-launch", "host_launch_us_p50"),
        ("-behind", "host_behind_us_p50"), ("-vllm", "vllm_us"),
    )
]  # fmt: skip
_QUOTED: list[tuple[str, str, str, Callable[[float], str]]] = [
    *_DECODE,
    *_HOST,
    ("swap", "swap-in of", "gb_s", _gb_s),
    ("swap-large", "swap-in of", "large_copy_gb_s", _gb_s),
    ("swap-share", "swap-in of", "share_of_large", tex.percent),
    ("swap-beside", "swap-in beside decode", "gb_s", _gb_s),
    ("slow-down", "swap-in beside decode", "slow_down", tex.percent),
]
"""Key after `speed-`, beginning of the row's `what`, column, form."""


def _streamed(calibration: dict, memory: float) -> Iterator[Quoted]:
    """Shares of the memory rate at which weights and KV stream, each apart, by the fit of decode steps; what the host
    takes to launch a step that no graph holds."""
    compute = calibration.get("compute", {})
    measured = compute.get("kind") == "measured"
    decode = compute["decode"] if measured else {}
    shape = geometry(compute["model"]) if measured else None
    for batch in (64, 1):
        taken = dict(decode.get("step_s", [])).get(batch, math.nan)
        share = shape.weight_bytes / taken / (memory * 1e9) if measured else math.nan
        yield f"speed-weights-{batch}", share, tex.percent(share)
    taken = dict(decode.get("context_s", [])).get(64, math.nan)
    share = shape.token_bytes / taken / (memory * 1e9) if measured else math.nan
    yield "speed-kv-64", share, tex.percent(share)
    launch = compute["mixed"].get("launch_s", math.nan) if measured else math.nan
    yield "speed-launch", launch, tex.seconds(launch)
