"""What became of every issued prefetch, per policy and scenario, beside the stall removed and the bound on it.

Timely: complete before the step that uses it. Late: still in flight when needed. Same step: issued in the step that
uses it. Early: evicted unused and then demanded. Unused: neither used nor missed.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pagedkv.paper import frames, style
from pagedkv.paper.figures import _common

# Shades of one scale, so that none is mistaken for the colour of a policy.
PARTS = {"timely": "#00204d", "same step": "#5b6c9a", "late": "#b5a973", "early": "#ffd966", "unused": "#e4e4e4"}


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """A panel a scenario, a bar a policy."""
    rows = frames.main(metrics)
    rows = rows[rows["eviction"].isin(frames.LRU) & (rows["kind"] != "none")]
    rows = rows[rows["issued"].fillna(0) > 0] if "issued" in rows else rows.iloc[:0]
    shown = frames.scenarios(rows)
    if not shown:
        return style.empty("no prefetch was issued in this build", style.PAGE)
    order = frames.policy_order(rows)
    grid, columns = _common.grid_shape(len(shown), 4)
    figure, axes = style.figure(
        style.PAGE, (0.5 + 0.12 * len(order)) * grid + 0.35, grid, columns, sharex=True, sharey=True
    )
    flat = list(axes.flat)
    for ax, pair in zip(flat, shown, strict=False):
        _panel(ax, frames.of_scenario(rows, pair).set_index("series"), order)
        ax.set_title(frames.title(pair))
        ax.tick_params(labelbottom=True)
    style.hide(flat[len(shown) :])
    flat[0].set_ylim(len(order) - 0.4, -0.6)
    flat[0].set_yticks(range(len(order)), order)
    marks = [Patch(color=colour, label=name) for name, colour in PARTS.items()]
    style.legend_below(figure, marks, len(marks))
    return figure


def shares(row: pd.Series) -> dict[str, float]:
    """Five shares of the issued prefetches that sum to one, whether or not the file's counts overlap."""

    def get(name: str) -> float:
        value = float(row.get(name, 0))
        return value if value == value else 0.0

    issued, useful = get("issued"), min(get("useful"), get("issued"))
    same = min(get("same_step"), useful)
    late = min(get("late"), useful - same)
    early = min(get("early"), issued - useful)
    parts = {"timely": useful - same - late, "same step": same, "late": late, "early": early}
    parts["unused"] = issued - useful - early
    return {name: value / issued for name, value in parts.items()}


def _panel(ax: Axes, rows: pd.DataFrame, order: list[str]) -> None:
    for place, series in enumerate(order):
        if series not in rows.index:
            continue
        row = rows.loc[[series]].iloc[0]
        left = 0.0
        for name, share in shares(row).items():
            ax.barh(place, share, left=left, color=PARTS[name], height=0.78, linewidth=0)
            left += share
        if pd.notna(row["stall_removed"]):
            bound = row["bound_removed"]
            limit = f"/{bound:.0%}" if pd.notna(bound) else ""
            ax.text(1.03, place, f"{row['stall_removed']:.0%}{limit}", va="center", fontsize=5.5)
    ax.set_xlim(0, 1.38)
    ax.set_xticks([0, 0.5, 1])
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.grid(axis="y", visible=False)
