"""Accuracy, coverage, cross-step useful share and stall removed per policy: filled logical, hollow other addresses.

One mark a scenario; the bar is their median. The last panel carries, as black ticks, the bound on what can be removed.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import frames, style

PANELS = {
    "accuracy": "accuracy",
    "coverage": "coverage",
    "cross_step_share": "useful and issued\nin an earlier step",
    "stall_removed": "stall removed",
}
LOW = -0.25


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """A row a policy, a panel a ratio."""
    rows = frames.main(metrics)
    rows = rows[rows["eviction"].isin(frames.LRU) & (rows["kind"] != "none")]
    policies = (
        list(dict.fromkeys(rows.set_index("series").loc[frames.policy_order(rows), "label"])) if len(rows) else []
    )
    if not policies:
        return style.empty("no policy that prefetches in this build", style.PAGE)
    figure, axes = style.figure(style.PAGE, 0.75 + 0.3 * len(policies), 1, len(PANELS), sharey=True)
    colours = style.palette(rows["prefetch"])
    for ax, (column, title) in zip(axes[0], PANELS.items(), strict=True):
        for place, label in enumerate(policies):
            _row(ax, place, rows[rows["label"] == label], column, colours)
        ax.set_title(title)
        ax.set_xlim(LOW - 0.03 if column in ("coverage", "stall_removed") else -0.03, 1.03)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        ax.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(policies)), policies)
    axes[0, 0].set_ylim(len(policies) - 0.5, -0.5)
    marks = [
        Line2D([], [], linestyle="", marker="o", color=style.GREY, label="logical addresses"),
        Line2D([], [], linestyle="", marker="o", color=style.GREY, fillstyle="none", label="physical or host slots"),
        Line2D([], [], linestyle="", marker="|", color=style.GREY, markersize=8, label="median of scenarios"),
        Line2D([], [], linestyle="", marker="|", color=style.BOUND, markersize=5, label="bound (last panel)"),
    ]
    if rows["recorded"].any():
        marks.append(Line2D([], [], linestyle="", marker="s", color=style.GREY, label="recorded"))
    style.legend_below(figure, marks, len(marks))
    return figure


def _row(ax, place: int, rows: pd.DataFrame, column: str, colours: dict[str, str]) -> None:
    for logical, group in rows.groupby(rows["address"] == "logical"):
        values = pd.to_numeric(group[column], errors="coerce") if column in group else pd.Series(dtype=float)
        height = place + (-0.16 if logical else 0.2)
        for row, value in zip(group.itertuples(), values, strict=False):
            if pd.notna(value):
                ax.plot(
                    [max(value, LOW)], [height], marker="s" if row.recorded else "o", markersize=3, alpha=0.75,
                    color=colours[row.prefetch], fillstyle="full" if logical else "none", linestyle="",
                )  # fmt: skip
        if values.notna().any():
            ax.plot([max(values.median(), LOW)], [height], marker="|", markersize=8, color=style.GREY, linestyle="")
        if column == "stall_removed" and group["bound_removed"].notna().any():
            bounds = group["bound_removed"].dropna()
            ax.plot(bounds, [height] * len(bounds), marker="|", markersize=5, color=style.BOUND, linestyle="")
