"""Batching, not prediction: stall under D-page, D-step and D-layer, without prefetch and with next-N.

Stall is relative to D-page without prefetch. Black ticks: the bound, which applies to D-page and D-step only.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pagedkv.paper import frames, style

MODES = ("D-page", "D-step", "D-layer")
SHADES = {"D-page": 1.0, "D-step": 0.65, "D-layer": 0.35}


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """A group a scenario; in it a pair of bars a demand mode."""
    rows = metrics[metrics["demand"].isin(MODES) & metrics["eviction"].isin(frames.LRU) & (metrics["link_scale"] == 1)]
    rows = rows[rows["sweep"].isin(["demand", "main"]) & (rows["address"] == "logical")]
    rows = rows[rows["prefetch"].isin(["none", "next_n"])]
    rows = rows.assign(left=1 - rows["removed_of_page"])
    rows = rows[rows["left"].notna()]
    shown = frames.scenarios(rows)
    if not shown:
        return style.empty("no scenario of this build stalls under D-page")
    figure, axes = style.figure(style.COLUMN if len(shown) <= 4 else style.PAGE, 2.3)
    ax = axes[0, 0]
    for place, pair in enumerate(shown):
        _group(ax, place, frames.of_scenario(rows, pair))
    ax.set_xticks(range(len(shown)), [frames.title(p).replace(" (", "\n(") for p in shown])
    ax.set_xlim(-0.55, len(shown) - 0.45)
    ax.set_ylabel("stall (D-page, no prefetch = 1)")
    ax.grid(axis="x", visible=False)
    style.legend_below(figure, _legend(), 3 if len(shown) <= 4 else 6)
    return figure


def _group(ax: Axes, place: int, rows: pd.DataFrame) -> None:
    width = 0.13
    for index, mode in enumerate(MODES):
        for twin, policy in enumerate(("none", "next_n")):
            group = rows[(rows["demand"] == mode) & (rows["prefetch"] == policy)]
            x = place + (index - 1) * 2.1 * width + (twin - 0.5) * width
            if group.empty:
                continue
            best = group.loc[group["left"].idxmin()]
            colour = style.KNOWN[policy]
            ax.bar(x, best["left"], width, color=colour, alpha=SHADES[mode], edgecolor=colour, linewidth=0.6)
            bound = best["bound_left"] * best["left"] / best["stall_left"] if best["stall_left"] else np.nan
            if mode in frames.BOUNDED and pd.notna(bound):
                ax.plot([x - width / 2, x + width / 2], [bound, bound], color=style.BOUND, linewidth=1.2)


def _legend() -> list:
    marks = [
        Patch(color=style.KNOWN[p], label=name) for p, name in (("none", "no prefetch"), ("next_n", "best next-N"))
    ]
    marks += [Patch(color="#444444", alpha=SHADES[m], label=m) for m in MODES]
    return [*marks, Line2D([], [], color=style.BOUND, label="bound")]
