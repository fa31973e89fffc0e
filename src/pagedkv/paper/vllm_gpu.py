"""vLLM and this engine on one GPU, in two tables: side by side in a benchmark, and on the recorded requests."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.paper import tex

UNITS = {"ms": 1e-3, "us": 1e-6}


def side_by_side(folder: str | Path | None) -> str:
    """A row a quantity: both engines in one run, and in two runs one after the other."""
    together, apart = (_rows(folder, name) for name in ("together", "apart"))
    header = ["on the GPU", "ours", "vLLM", "ratio", "ours", "vLLM", "ratio"]
    body = [_quantity(what, together[what], apart.get(what, {})) for what in together]
    return tex.tabular("lrrrrrr", header, body)


def _rows(folder: str | Path | None, name: str) -> dict[str, dict[str, Any]]:
    path = None if folder is None else Path(folder) / "benchmark" / f"{name}.json"
    if path is None or not path.exists():
        return {}
    try:
        return {row["what"]: row for row in json.loads(path.read_text())["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise PagedKVError(f"{path}: not what benchmarks/vllm.py writes ({type(error).__name__})") from error


def _quantity(what: str, *runs: dict[str, Any]) -> list[str]:
    """`what` holds the unit as a word."""
    unit = next(word for word in what.replace(",", " ").split() if word in UNITS)
    cells = [tex.escape(what.replace(f" {unit}", "", 1))]
    for run in runs:
        cells += [tex.cell(tex.seconds(UNITS[unit] * _number(run, side))) for side in ("ours", "vllm")]
        cells.append(tex.cell(tex.number(_number(run, "ratio"))))
    return cells


def _number(run: dict[str, Any], key: str) -> float:
    value = run.get(key)
    return math.nan if value is None else float(value)


def measured(rows: pd.DataFrame, choices: pd.DataFrame) -> str:
    """A row a run on the GPU, by scenario, and under vLLM's the same settings with modelled time."""
    header = ["engine and choice", "busy", "TTFT", "p99", "TPOT", "decode step", "prompt step", "stall", "loaded GB"]
    header += ["preempted", "watching"]
    body: list = []
    for place, name in enumerate(dict.fromkeys(rows["scenario"]) if len(rows) else ()):
        body.append(tex.group(tex.escape(name), len(header), place == 0))
        for row in rows[rows["scenario"] == name].itertuples():
            of_vllm = row.choice != "ours"
            label = f"vLLM, {row.choice}, measured" if of_vllm else "ours, measured"
            body.append(_run(label, row, tex.percent(row.observing_s / row.busy_s) if of_vllm else tex.BLANK))
            same = (
                choices[(choices["scenario"] == name) & (choices["choice"] == row.choice)] if len(choices) else choices
            )
            body += [_run(f"vLLM, {row.choice}, modelled", each, tex.BLANK) for each in same.itertuples()]
    return tex.tabular("l" + "r" * (len(header) - 1), header, body)


def _run(label: str, row: Any, watching: str) -> list[str]:
    names = ("busy_s", "ttft_mean_s", "ttft_p99_s", "tpot_p50_s", "decode_step_s", "prompt_step_s", "stall_s")
    times = [tex.cell(tex.seconds(float(getattr(row, name)))) for name in names]
    return [tex.escape(label), *times, f"{row.h2d_bytes / 1e9:,.1f}", f"{row.preemptions:,.0f}", watching]
