"""vLLM in the report: how far our steps are its steps, its traces beside ours, and what its own choices cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.paper import frames, tex
from pagedkv.recorded import vouched
from pagedkv.storage import read_frame

PREFIX = "vllm_"
"""A scenario of this name is of vLLM, on the requests of the scenario without it."""
DEFAULT = "offload"
"""The choice with which the others are compared."""
OURS = {
    "ours, load at admission": ("none", "lru", "D-async"),
    "ours, stall of a whole step": ("none", "lru", "D-step"),
    "ours, plan and its eviction": ("LA-16 stay", "plan_aware", "D-async"),
}
"""Runs of our closed loop on the same requests: series, eviction, demand mode."""

Quoted = tuple[str, float, str]


@dataclass(frozen=True)
class Recorded:
    """What recorded/vllm ships; empty frames where it ships nothing."""

    conformance: pd.DataFrame
    choices: pd.DataFrame
    measured: pd.DataFrame


def load(folder: str | Path | None) -> Recorded:
    """Read and verify; PagedKVError for a file that its provenance does not vouch for."""
    files = ("conformance/rows.parquet", "choices/choices.parquet", "measured/measured.parquet")
    return Recorded(*(_read(None if folder is None else Path(folder) / name) for name in files))


def load_beside(files: Sequence[frames.Source]) -> pd.DataFrame:
    """Replays of what our engine does in vLLM's mode, under the names of vLLM's scenarios; no rows without files."""
    loaded = [frames.main(frames.load(file)) for file in files]
    return pd.concat(loaded, ignore_index=True) if loaded else frames.main(frames.load(_NO_ROWS))


_NO_ROWS = pd.DataFrame(columns=["scenario", "prefetch", "eviction", "stall_s"])


def _read(path: Path | None) -> pd.DataFrame:
    if path is None or not path.exists():
        return pd.DataFrame()
    try:
        return read_frame(vouched(path))
    except (OSError, ValueError) as error:
        raise PagedKVError(f"{path}: not a readable Parquet file ({type(error).__name__})") from error


def pairs(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """(scenario of ours, the same requests on vLLM), where the rows have both."""
    there = [name for name, recorded in frames.scenarios(frame) if not recorded]
    yield from ((name, PREFIX + name) for name in there if PREFIX + name in there)


# ------------------------------------------------------------ conformance
def conformance(found: Recorded) -> str:
    """A row a class of cases."""
    header = ["class", "cases", "requests", "steps", "identical", "preemptions", "hit tokens"]
    body: list = []
    rows = found.conformance
    for required in (True, False) if len(rows) else ():
        group = rows[rows["exact"] == required]
        for name in dict.fromkeys(group["class"]):
            body.append(_class(name, group[group["class"] == name]))
        if required:
            body += [_class("all that have to agree", group), r"\addlinespace"]
    return tex.tabular("lrrrrrr", header, body)


def _class(name: str, rows: pd.DataFrame) -> list[str]:
    same = rows["identical_steps"].sum() / rows["steps"].sum()
    counts = [len(rows), rows["requests"].sum(), rows["steps"].sum()]
    return [
        tex.escape(name),
        *map(_count, counts),
        tex.cell(tex.percent(float(same))),
        *(_count(rows[column].sum()) for column in ("preemptions", "hit_tokens")),
    ]


# ------------------------------------------------------------ choices
def choices(found: Recorded, serve: pd.DataFrame) -> str:
    """A row a choice, by scenario; then our engine in the closed loop on the same requests."""
    header = ["engine and choice", "time", "TTFT", "p99", "TPOT", "stall"]
    header += ["loaded GB", "stored GB", "preempted", "wrong reads"]
    body: list = []
    rows = found.choices
    for place, name in enumerate(dict.fromkeys(rows["scenario"]) if len(rows) else ()):
        body.append(tex.group(tex.escape(name), len(header), place == 0))
        own = rows[rows["scenario"] == name]
        body += [_choice(f"vLLM, {row.choice}", row, f"{row.wrong_reads_blocks:,.0f}") for row in own.itertuples()]
        body += [_choice(label, row, tex.BLANK) for label, row in _ours(serve, name)]
    return tex.tabular("l" + "r" * (len(header) - 1), header, body)


def _ours(serve: pd.DataFrame, scenario: str) -> Iterator[tuple[str, object]]:
    for label, (series, eviction, demand) in OURS.items():
        own = serve[(serve["scenario"] == scenario) & (serve["series"] == series) & (serve["demand"] == demand)]
        yield from ((label, row) for row in own[own["eviction"] == eviction].head(1).itertuples())


def _choice(label: str, row: object, wrong: str) -> list[str]:
    times = [tex.cell(tex.seconds(float(getattr(row, name)))) for name in ("elapsed_s", "ttft_mean_s", "ttft_p99_s")]
    times += [tex.cell(tex.seconds(float(getattr(row, name)))) for name in ("tpot_p50_s", "stall_s")]
    moved = [f"{getattr(row, name) / 1e9:,.1f}" for name in ("h2d_bytes", "d2h_bytes")]
    return [tex.escape(label), *times, *moved, _count(row.preemptions), wrong]


def _count(number: float) -> str:
    return f"{number:,.0f}".replace(",", r"\,")


# ------------------------------------------------------------ quoted numbers
def values(found: Recorded, metrics: pd.DataFrame, beside: pd.DataFrame) -> Iterator[Quoted]:
    """Keys of the text: the same ones whether anything is shipped or not."""
    rows = found.conformance
    exact = rows[rows["exact"]] if len(rows) else rows
    for key, chosen in (("", exact), *((f"-{name}", _of(rows, name)) for name in _CLASSES)):
        steps = float(chosen["steps"].sum()) if len(chosen) else math.nan
        same = float(chosen["identical_steps"].sum()) if len(chosen) else math.nan
        yield f"vllm-steps{key}", steps, _known(steps, _count)
        yield f"vllm-cases{key}", float(len(chosen)), _count(len(chosen))
        yield f"vllm-identical{key}", same / steps, tex.percent(same / steps)
    versions = sorted(set(found.choices["version"])) if len(found.choices) else []
    yield "vllm-version", math.nan, ", ".join(versions) or tex.MISSING
    yield from _quoted_choices(found.choices)
    yield from _quoted_measured(found.measured)
    yield from _quoted_pairs(frames.main(metrics), beside)


_CLASSES = ("public", "async", "offload")
"""Classes of cases of which the text quotes numbers."""
SCENARIOS = ("longdoc", "chat", "agent", "azure_conv")
"""Scenarios of which the text quotes numbers, without the prefix."""


def _of(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows[rows["class"] == name] if len(rows) else rows


def _known(value: float, form: Callable[[float], str]) -> str:
    return form(value) if tex.known(value) else tex.MISSING


_QUOTED: tuple[tuple[str, str, str, str], ...] = (
    ("ttft-none", "no offload", "ttft_mean_s", "over"),
    ("ttft-async", "asynchronous", "ttft_mean_s", "over"),
    ("ttft-late-store", "store on second look-up", "ttft_mean_s", "over"),
    ("loaded-late-store", "store on second look-up", "h2d_bytes", "over"),
    ("stored-outputs", "outputs too", "d2h_bytes", "over"),
    ("ttft-outputs", "outputs too", "ttft_mean_s", "over"),
    ("wrong-outputs", "outputs too", "wrong_reads_blocks", "count"),
    ("wrong", DEFAULT, "wrong_reads_blocks", "count"),
    ("preempted", DEFAULT, "preemptions", "count"),
    ("preempted-async", "asynchronous", "preemptions", "count"),
)
"""Key, choice, column, and how it is told: over the default's, or as a count."""


def _quoted_choices(rows: pd.DataFrame) -> Iterator[Quoted]:
    forms = {"over": lambda v: f"{v:.2f}", "count": _count}
    for scenario in SCENARIOS:
        own = rows[rows["scenario"] == PREFIX + scenario] if len(rows) else rows
        by_choice = own.set_index("choice") if len(own) else own
        for key, choice, column, told in _QUOTED:
            value = float(by_choice.loc[choice, column]) if len(own) else math.nan
            if told == "over":
                value /= float(by_choice.loc[DEFAULT, column]) if len(own) else math.nan
            yield f"vllm-{key}/{scenario}", value, _known(value, forms[told])
    stored = rows[rows["choice"] == DEFAULT] if len(rows) else rows
    over = float(stored["d2h_bytes"].sum() / stored["h2d_bytes"].sum()) if len(stored) else math.nan
    yield "vllm-stored-per-loaded", over, _known(over, lambda v: f"{v:.1f}")


def _quoted_measured(rows: pd.DataFrame) -> Iterator[Quoted]:
    """What vLLM's default settings stalled for on the GPU; and how often it preempted there, asynchronously too."""
    for scenario in SCENARIOS:
        own = rows[rows["scenario"] == PREFIX + scenario].set_index("choice") if len(rows) else rows
        for key, choice, column, form in _MEASURED:
            value = float(own.loc[choice, column]) if choice in own.index else math.nan
            yield f"vllm-measured-{key}/{scenario}", value, _known(value, form)


_MEASURED: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("stall", DEFAULT, "stall_s", tex.seconds),
    ("preempted", DEFAULT, "preemptions", _count),
    ("preempted-async", "asynchronous", "preemptions", _count),
    ("busy", DEFAULT, "busy_s", tex.seconds),
    ("busy-async", "asynchronous", "busy_s", tex.seconds),
)


def _quoted_pairs(frame: pd.DataFrame, beside: pd.DataFrame) -> Iterator[Quoted]:
    """Best share of stall removed at a level on our trace in its default mode and on vLLM's; and how far the best ones
    on vLLM's trace and on ours in vLLM's mode are apart at most."""
    there, apart = dict(pairs(frame)), []
    for scenario in SCENARIOS:
        theirs = there.get(scenario, "")
        for key, *family in _FAMILIES:
            ours, on_vllm, as_vllm = (
                _best(source, name, *family) for source, name in ((frame, scenario), (frame, theirs), (beside, theirs))
            )
            apart.append(abs(as_vllm - on_vllm))
            yield f"vllm-{key}/{scenario}", on_vllm, f"{tex.percent(ours)} and {tex.percent(on_vllm)}"
    widest = max((each for each in apart if tex.known(each)), default=math.nan)
    yield "vllm-apart", widest, tex.percent(widest)


def _best(frame: pd.DataFrame, scenario: str, kind: str, level: int, address: str) -> float:
    """NaN where the scenario has no such run."""
    own = frames.of_scenario(frame, (scenario, False))
    own = own[own["eviction"].isin(frames.LRU) & (own["kind"] == kind)]
    own = own[own["address"] == address] if address else own[own["knowledge"] == level]
    return float(own["stall_removed"].max())


_FAMILIES = (
    ("logical", "spatial", 1, "logical"),
    ("slots", "spatial", 0, "physical"),
    ("plan", "schedule", 4, ""),
    ("true", "schedule", 5, ""),
    ("oracle", "oracle", 6, ""),
)
