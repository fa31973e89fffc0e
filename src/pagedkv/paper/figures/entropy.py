"""Bits that it takes to tell which page is accessed next, along the information ladder, for each workload.

Bars: code lengths a page, on a logarithmic axis, of the streams that each level sees. From I3 on the pages follow from
the schedule, and what is left is who enters; streams of pages do not say when, and neither do these bars. Right: pages
when the schedule is known, for dense attention and for top-k attention, whose pages it does not tell.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pagedkv.paper import predict_rows, style
from pagedkv.paper.figures import _workloads

FLOOR = 1e-4
"""Bits a page below which a bar is drawn at the floor: nothing is left to predict."""
COLOURS = {"pages": "#56B4E9", "schedule": style.KNOWN["la_k"], "topk": "#882255"}


def draw_predict(rows: pd.DataFrame, metrics: pd.DataFrame) -> Figure:
    """A panel a workload in which something is loaded."""
    figure, panels = _workloads.panels(rows, 1.8, 0.2, "bits a page")
    for name, ax in panels.items():
        _panel(ax, bars(rows[rows["scenario"] == name]))
    return figure


def bars(rows: pd.DataFrame) -> list[tuple[str, str, float]]:
    """(label, kind, bits a page), from least to most knowledge, then the positive control."""
    made = [
        ("I0 slots", "pages", _least(rows, "physical")),
        ("I0 host", "pages", _least(rows, "host")),
        ("I1 logical", "pages", _least(rows, "logical")),
        ("I2 all", "pages", _least(rows, "logical, all accesses")),
    ]
    for level in ("I3", "I4", "I5"):
        made.append((level, "schedule", predict_rows.one(rows, "schedule_bits", stream="who", context=level)))
    made.append(("dense", "pages", predict_rows.one(rows, "pages_given_schedule_bits", stream="dense")))
    made.append(("top-k", "topk", predict_rows.one(rows, "pages_given_schedule_bits", stream="topk")))
    return made


def _least(rows: pd.DataFrame, stream: str) -> float:
    """The best code: every code length bounds the entropy from above."""
    return predict_rows.least_bits(rows, stream)


def _panel(ax: Axes, made: list[tuple[str, str, float]]) -> None:
    places = np.arange(len(made)) + np.array([0] * 7 + [0.5, 0.5])
    heights = [max(FLOOR, value) if np.isfinite(value) else FLOOR for _, _, value in made]
    ax.bar(places, heights, 0.75, color=[COLOURS[kind] for _, kind, _ in made], bottom=0)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 40)
    ax.set_xticks(places, [label for label, _, _ in made], rotation=60, ha="right", rotation_mode="anchor")
    ax.axvline(6.75, color=style.GREY, linewidth=0.6)
    ax.grid(axis="x", visible=False)
