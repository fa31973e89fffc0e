"""The determinism horizon: of what enters the batch within k steps, how much the scheduler's plan had named (recall),
and how much of what it named did enter (precision), for each workload.

Vertical: k*, the steps that the largest load takes. A plan helps where recall is high at and beyond it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import frames, predict_rows, style
from pagedkv.paper.figures import _workloads

PLANS = {"stay": ("plan: the running set stays", "-"), "len_pred": ("plan: predicted lengths", "--")}
LOOKS = {"recall": {"color": style.KNOWN["la_k"], "marker": "o"}, "precision": {"color": "#0072B2", "marker": "s"}}


def draw_predict(rows: pd.DataFrame, metrics: pd.DataFrame) -> Figure:
    """A panel a workload in which something is loaded; x is k in steps, logarithmic."""
    figure, panels = _workloads.panels(rows, 1.75, 0.4, "share of blocks", "k (steps)")
    main = frames.main(metrics)
    for name, ax in panels.items():
        _panel(ax, rows[rows["scenario"] == name])
        _load_time(ax, main[(main["scenario"] == name) & ~main["recorded"]])
    if panels:
        style.legend_below(figure, _legend(rows), 5)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    for plan, (_, line) in PLANS.items():
        for measure, look in LOOKS.items():
            own = predict_rows.of(rows, measure, stream=plan).sort_values("k")
            ax.plot(own["k"], own["value"], linestyle=line, markersize=2.5, **look)
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 4, 16, 64], ["1", "4", "16", "64"])
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")


def _load_time(ax: Axes, rows: pd.DataFrame) -> None:
    steps = pd.to_numeric(rows["k_star"], errors="coerce").median() if "k_star" in rows else np.nan
    if np.isfinite(steps):
        ax.axvline(min(64.0, steps), color=style.BOUND, linestyle=":", linewidth=0.9)


def _legend(rows: pd.DataFrame) -> list[Line2D]:
    there = set(rows["stream"])
    made = [Line2D([], [], markersize=3, label=name, **look) for name, look in LOOKS.items()]
    made += [
        Line2D([], [], color=style.GREY, linestyle=line, label=text) for p, (text, line) in PLANS.items() if p in there
    ]
    return [*made, Line2D([], [], color=style.BOUND, linestyle=":", label="k*: steps of the largest load")]
