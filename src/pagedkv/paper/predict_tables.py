"""Tables of how predictable pages are, and of what deciding costs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from pagedkv.paper import predict_rows, tex

DEAR = 10.0
"""A policy that makes a replay cost more than this many times that of `none` is named in the report."""


def predictability(rows: pd.DataFrame) -> str:
    """A row a workload in which something is loaded."""
    header = ["scenario", "pages", "slots", "logical", "who", "when", "dense", "LZMA slots", "LZMA logical"]
    header += ["LZ sum", "LZ mean", "Fano", "Jaccard", "entering"]
    body = []
    for name in predict_rows.with_faults(rows):
        own = rows[rows["scenario"] == name]

        def one(measure: str, own: pd.DataFrame = own, **where: object) -> str:
            return tex.cell(tex.number(predict_rows.one(own, measure, **where), 3))

        def least(stream: str, own: pd.DataFrame = own) -> str:
            found = predict_rows.of(own, "entropy_bits", stream=stream)["value"]
            return tex.cell(tex.number(float(found.min()), 3))

        pages = predict_rows.one(own, "pages", stream="faults")
        cells = [tex.escape(name), f"{pages:,.0f}".replace(",", r"\,"), least("physical"), least("logical")]
        cells += [one("schedule_bits", stream=part, context="I4") for part in ("who", "when")]
        cells += [one("pages_given_schedule_bits", stream="dense")]
        cells += [one("compressed_bits", stream=stream) for stream in ("physical", "logical")]
        cells += [one(measure, stream="logical") for measure in ("lempel_ziv_bits", "lempel_ziv_mean_bits")]
        cells += [one("fano_accuracy", stream="logical"), one("jaccard"), one("entering_pages_per_step")]
        body.append(cells)
    return tex.tabular("l" + "r" * (len(header) - 1), header, body)


def decisions(path: str | Path | None) -> str:
    """Microseconds that a call of each policy costs, and what a replay with it costs beside `none`."""
    rows = pd.DataFrame(json.loads(Path(path).read_text())["rows"]) if path is not None else pd.DataFrame()
    header = ["policy", "address", "us a call", "us a step", "replay"]
    body = []
    if len(rows):
        dearest = rows.groupby(["prefetch", "address"])[["us_per_call", "us_per_step", "times_none"]].max()
        for (name, address), row in dearest.sort_values("us_per_call").iterrows():
            times = f"{row.times_none:.1f}"
            cells = [tex.escape(name), tex.escape(address), *(f"{v:,.0f}" for v in (row.us_per_call, row.us_per_step))]
            body.append([*cells, rf"\textbf{{{times}}}" if row.times_none > DEAR else times])
    return tex.tabular("llrrr", header, body, long=True)
