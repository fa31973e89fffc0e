"""Tables of how predictable pages are, and of what deciding costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pagedkv.metric.decision_cost import read_costs
from pagedkv.paper import predict_rows, tex

DEAR = 10.0
"""A policy that makes a replay cost more than this many times that of `none` is named in the report."""


def predictability(rows: pd.DataFrame) -> str:
    """A row a workload in which something is loaded."""
    header = ["scenario", "faults", "slots", "host", "logical", "all", "who", "when", "dense"]
    header += ["LZMA slots", "host", "logical", "LZ sum", "LZ mean", "Fano", "Jaccard", "entering"]
    body = []
    for name in predict_rows.with_faults(rows):
        own = rows[rows["scenario"] == name]

        def one(measure: str, own: pd.DataFrame = own, **where: object) -> str:
            return tex.cell(tex.number(predict_rows.one(own, measure, **where), 3))

        def context(stream: str, own: pd.DataFrame = own) -> str:
            found = predict_rows.of(own, "entropy_bits", stream=stream)["value"]
            return tex.cell(tex.number(float(found.min()), 3))

        pages = predict_rows.one(own, "pages", stream="faults")
        cells = [tex.escape(name), f"{pages:,.0f}".replace(",", r"\,")]
        cells += [context(stream) for stream in ("physical", "host", "logical", "logical, all accesses")]
        cells += [one("schedule_bits", stream=part, context="I4") for part in ("who", "when")]
        cells += [one("pages_given_schedule_bits", stream="dense")]
        cells += [one("compressed_bits", stream=stream) for stream in ("physical", "host", "logical")]
        cells += [one(measure, stream="logical") for measure in ("lempel_ziv_bits", "lempel_ziv_mean_bits")]
        cells += [one("fano_accuracy", stream="logical"), one("jaccard"), one("entering_pages_per_step")]
        body.append(cells)
    return tex.tabular("l" + "r" * (len(header) - 1), header, body)


def learned(rows: pd.DataFrame) -> str:
    """What each trained network holds for the next fault, by the trace that it is asked about."""
    header = ["asked about", "trained on", "first", "among 8", "jumps", "first", "among 8"]
    body = []
    for name in predict_rows.scenarios(rows):
        own = rows[rows["scenario"] == name]
        for context in dict.fromkeys(predict_rows.of(own, "lstm_first", stream="all")["context"]):
            shares = [
                [
                    predict_rows.one(own, f"lstm_{which}", stream=stream, context=context)
                    for which in ("first", "among_top")
                ]
                for stream in ("all", "jumps")
            ]
            places = predict_rows.one(own, "lstm_places", stream="jumps", context=context)
            if tex.known(shares[0][0]):
                texts = [[tex.cell(tex.percent(share)) for share in pair] for pair in shares]
                source = tex.escape(context.removeprefix("trained on "))
                body.append([tex.escape(name), source, *texts[0], f"{places:.0f}", *texts[1]])
    return tex.tabular("llrrrrr", header, body)


def decisions(path: str | Path | None) -> str:
    """What a call of each policy costs, and what a replay with it costs beside `none`: the dearest scenario of each."""
    rows = read_costs(path)
    header = ["policy", "address", "us a call", "us a step", "replay", "dearest in"]
    body = []
    for (name, address), group in rows.groupby(["prefetch", "address"]):
        dear = group.loc[group["us_per_call"].idxmax()]
        times = float(group["times_none"].max())
        cells = [
            tex.escape(name),
            tex.escape(address),
            f"{dear.us_per_call:,.0f}",
            f"{group['us_per_step'].max():,.0f}",
        ]
        body.append([*cells, rf"\textbf{{{times:.1f}}}" if times > DEAR else f"{times:.1f}", tex.escape(dear.scenario)])
    return tex.tabular("llrrrl", header, sorted(body, key=lambda cells: cells[0]), long=True)
