"""Tables of the simulator beside a GPU: bars with their measured values, every closed run, what breaks it, identity."""

from __future__ import annotations

import math

import pandas as pd

from pagedkv.paper import fidelity_rows, tex

EXACT = ("decisions", "fed bytes")
"""Bars on the share of runs that are exact."""
PLAIN = ("order",)
"""Bars on a plain number."""
LEAST, MOST = r"$\ge$", r"$\le$"


def bars(rows: pd.DataFrame) -> str:
    """What was asked, what was measured, in which run, and why where it was missed."""
    made = [
        [
            tex.escape(row.title),
            f"{LEAST if row.bar in (*EXACT, *PLAIN) else MOST} {_amount(row.bar, row.limit)}",
            tex.cell(_amount(row.bar, row.value)),
            tex.escape(f"{row.scenario}: {_policy(row)}") if row.scenario else tex.BLANK,
            _verdict(row.verdict),
            tex.escape(row.cause) or tex.BLANK,
        ]
        for row in fidelity_rows.of_kind(rows, "bar").itertuples()
    ]
    header = ["quantity", "bar", "worst", "where", "verdict", "largest cause"]
    return tex.tabular(r"lrrll>{\raggedright\arraybackslash}p{0.3\textwidth}", header, made)


def _amount(bar: str, value: float) -> str:
    return tex.number(value, 2) if bar in PLAIN else tex.percent(value)


def _policy(row: object) -> str:
    return f"{row.series}, {row.eviction}" if row.eviction else row.series


def _verdict(word: str) -> str:
    colour = {"kept": "pkvholds", "missed": "pkvrefuted"}.get(word, "pkvundecided")
    return rf"\textcolor{{{colour}}}{{\textsf{{{word}}}}}"


def closed_runs(rows: pd.DataFrame) -> str:
    """Every closed loop: signed errors of the free-running simulation."""
    header = ["policy", "eviction", "fed", "step", "TPOT", "p99", "TTFT", "p99", "end to end", "elapsed", "stall"]
    header += ["bytes in", "out", "schedule"]
    body: list = []
    closed = fidelity_rows.of_kind(rows, "closed")
    for place, name in enumerate(fidelity_rows.scenarios(closed)):
        body.append(tex.group(tex.escape(name), len(header), place == 0))
        for row in closed[closed["scenario"] == name].itertuples():
            exact = min(row.decisions_exact, row.bytes_exact)
            fed = tex.BLANK if math.isnan(exact) else "exact" if exact == 1 else "differs"
            errors = ("tpot_mean_s", "tpot_p99_s", "ttft_mean_s", "ttft_p99_s", "end_to_end_mean_s", "elapsed_s")
            errors += ("stall_s", "h2d_bytes", "d2h_bytes")
            cells = [tex.escape(row.series), tex.escape(row.eviction), fed]
            cells += [_share(row.step_mape), *(_share(getattr(row, f"{name}_error")) for name in errors)]
            body.append([*cells, _share(row.schedule_distance)])
    return tex.tabular("lll" + "r" * (len(header) - 3), header, body)


def _share(value: float) -> str:
    return tex.cell(tex.percent(value, unit=False))


def ablations(rows: pd.DataFrame) -> str:
    """The largest errors over all runs, of the whole model and without each of its parts."""
    closed, without = fidelity_rows.of_kind(rows, "closed"), fidelity_rows.of_kind(rows, "ablation")
    groups = [("whole model", closed)] if len(closed) else []
    groups += [(name, without[without["ablation"] == name]) for name in dict.fromkeys(without["ablation"])]
    body = []
    for name, own in groups:
        used = own if name == "whole model" else own[own["matters"] == 1]
        count = f"{len(used)} of {len(own)}"
        broken = tex.BLANK if name == "whole model" else f"{int(used['breaks'].sum())} of {len(used)}"
        offs = ("bytes_off", "step_off", "tpot_off", "end_to_end_off", "ttft_off")
        cells = [_share(float(used[column].max())) for column in offs]
        stall = float(used["stall_s_error"].abs().max())
        body.append([name, count, *cells, _share(stall), broken])
    header = ["model", "runs changed", "bytes", "step", "TPOT", "end to end", "TTFT", "stall", "breaks a kept bar"]
    return tex.tabular("l" + "r" * (len(header) - 1), header, body)


def identity(rows: pd.DataFrame) -> str:
    """Requests whose tokens are those of the run without offload, and what comparing them freely costs."""
    header = ["sense", "policy", "requests", "identical", "logits", "blocks verified", "wrong"]
    body: list = []
    for mode, title in (("pinned", "schedule-pinned"), ("free", "free-running, batch-invariant")):
        for row in rows[(rows["kind"] == "identity") & (rows["mode"] == mode)].itertuples():
            cells = [_count(v) for v in (row.requests, row.identical)]
            logits = {1.0: "identical", 0.0: "differ"}.get(row.logits_identical, tex.BLANK)
            counts = [_count(row.verified_blocks), _count(row.wrong_blocks)]
            body.append([title, tex.escape(row.label), *cells, logits, *counts])
    return tex.tabular("llrrlrr", header, body)


def _count(value: float) -> str:
    return tex.BLANK if pd.isna(value) else f"{value:,.0f}".replace(",", r"\,")
