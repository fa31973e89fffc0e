"""Stall removed against rho, over all scenarios and link speeds, with the bound of each point.

rho is the time to load what enters the batch over the time for which its entry is known ahead. The dotted line is the
share min(1, 1/rho) that a saturated link can hide in a fluid model; it guides the eye and bounds nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import frames, style
from pagedkv.paper.figures import _common

LOW = -0.3


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """One axes; policies that prefetch and evict by LRU, D-step."""
    rows = metrics[metrics["sweep"].isin(["main", "rho"]) & (metrics["demand"] == "D-step")]
    rows = rows[rows["eviction"].isin(frames.LRU) & (rows["kind"] != "none")]
    rho = pd.to_numeric(rows["rho"], errors="coerce") if "rho" in rows else pd.Series(np.nan, rows.index)
    rows = frames.pooled(rows.assign(rho=rho)[(rho > 0) & np.isfinite(rho)])
    rows = rows[rows["stall_removed"].notna()]
    if rows.empty:
        return style.empty("no scenario of this build has an entry known ahead (rho)")
    figure, axes = style.figure(style.COLUMN, 3.1)
    ax = axes[0, 0]
    ax.set_xscale("log")
    looks = _common.looks(rows)
    bounds = rows[rows["bound_removed"].notna()].drop_duplicates(["scenario", "recorded", "rho"])
    ax.plot(bounds["rho"], bounds["bound_removed"], marker="_", markersize=7, color=style.BOUND, linestyle="", zorder=3)
    for row in rows.itertuples():
        _common.point(
            ax, row.rho, max(row.stall_removed, LOW), looks[row.series], row.recorded, zorder=4, markersize=3.2
        )
    low, high = rows["rho"].min() / 1.5, rows["rho"].max() * 1.5
    guide = np.geomspace(min(low, 0.5), max(high, 2), 200)
    ax.plot(guide, np.minimum(1, 1 / guide), color=style.GREY, linestyle=":", linewidth=1, zorder=2)
    ax.axvline(1, color=style.GREY, linewidth=0.8, zorder=1)
    ax.text(1, 1.01, r"$\rho=1$", color=style.GREY, ha="center", va="bottom", transform=ax.get_xaxis_transform())
    ax.set_xlabel(r"$\rho$ = time to load what enters / time its entry is known ahead")
    ax.set_ylabel("stall removed")
    ax.set_ylim(min(LOW, 0) - 0.03 if (rows["stall_removed"] < -0.05).any() else -0.08, 1.05)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    marks = _common.handles(rows, bound=False)
    marks.append(Line2D([], [], color=style.BOUND, marker="_", markersize=7, linestyle="", label="bound"))
    marks.append(Line2D([], [], color=style.GREY, linestyle=":", label=r"$\min(1, 1/\rho)$, fluid"))
    style.legend_below(figure, marks, 3)
    return figure
