"""What each level of knowledge is worth: stall that is left against the level, per scenario, under D-step.

Upper row of each pair: eviction fixed at LRU. Lower row: the eviction that the level allows (I0-I3 LRU, I4-I5
plan-aware, I6 MIN). The line joins the best policy up to each level. Diamonds: `none` with LRU, plan-aware and MIN
eviction. Dashed: the lower bound on stall.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import frames, style
from pagedkv.paper.figures import _common

TOP = 1.4  # more than this is drawn at the upper edge, with an arrow


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """One column a scenario, two rows: eviction fixed, eviction matched."""
    main = frames.main(metrics)
    fixed = main[main["eviction"].isin(frames.LRU)]
    matched = frames.matched(metrics)
    none = main[main["kind"] == "none"]
    shown = [p for p in frames.scenarios(main) if frames.of_scenario(fixed, p)["stall_left"].notna().any()]
    if not shown:
        return style.empty("no stall under D-step in any scenario of this build", style.PAGE)
    bands, columns = _common.grid_shape(len(shown), 5)
    figure, axes = style.figure(style.PAGE, 2.3 * bands + 0.45, 2 * bands, columns, sharex=True, sharey=True)
    both = pd.concat([fixed, matched])
    looks = _common.looks(both)
    for index, pair in enumerate(shown):
        band, column = divmod(index, columns)
        for row, frame in enumerate((fixed, matched)):
            ax = axes[2 * band + row, column]
            _panel(ax, frames.of_scenario(frame, pair), frames.of_scenario(none, pair), looks, pair[1])
            if row == 0:
                # Names of recorded scenarios are long, and panels are narrow.
                ax.set_title(frames.title(pair).replace(" ", "\n"), fontsize=6.5)
            if column == 0:
                ax.set_ylabel(f"stall left,\n{('LRU', 'matched')[row]} eviction")
            if row:
                ax.tick_params(labelbottom=True)
                ax.set_xlabel("knowledge")
    style.hide(axes[2 * (len(shown) // columns) + row, c] for row in (0, 1) for c in _left_over(len(shown), columns))
    highest = min(TOP, max(1.0, both["stall_left"].max()))
    axes[0, 0].set_ylim(0, 1.06 * highest)
    policies = both[both["kind"] != "none"]
    alone = Line2D([], [], linestyle="", marker="D", markersize=3.5, color=style.KNOWN["none"], label="eviction alone")
    best = Line2D([], [], color="#bbbbbb", label="best so far")
    style.legend_below(figure, [alone, *_common.handles(policies), best], 6)
    return figure


def _left_over(count: int, columns: int) -> range:
    return range(count % columns, columns) if count % columns else range(0)


def _panel(ax: Axes, rows: pd.DataFrame, none: pd.DataFrame, looks: dict, recorded: bool) -> None:
    rows = rows[rows["stall_left"].notna() & rows["knowledge"].notna()]
    bound = pd.concat([rows, none])["bound_left"].median()
    if np.isfinite(bound):
        ax.axhline(bound, color=style.BOUND, linestyle="--", linewidth=0.9, zorder=3)
    best = pd.concat([rows, none[none["eviction"].isin(frames.LRU)]]).groupby("knowledge")["stall_left"].min()
    best = best.dropna().sort_index().cummin()
    if len(best):
        levels = np.arange(0, 7)
        ax.step(levels, best.reindex(levels).ffill(), where="mid", color="#bbbbbb", linewidth=1.6, zorder=1)
    policies = rows[rows["kind"] != "none"]
    for level, group in policies.groupby("knowledge"):
        for shift, row in zip(_common.spread(len(group), 0.62), group.itertuples(), strict=True):
            _mark(ax, level + shift, row, looks[row.series], recorded)
    for row in none[none["stall_left"].notna() & none["knowledge"].notna()].itertuples():
        look = {"color": style.KNOWN["none"], "marker": "D", "markersize": 3.5}
        _common.point(ax, row.knowledge, min(row.stall_left, TOP), look, recorded, zorder=4)
    ax.set_xticks(range(7), frames.LEVELS)
    ax.set_xlim(-0.5, 6.5)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.grid(axis="x", visible=False)


def _mark(ax: Axes, x: float, row: object, look: dict, recorded: bool) -> None:
    ends = _common.interval(row, "stall_removed")
    if ends:
        low, high = sorted(np.clip([1 - ends[1], 1 - ends[0]], 0, TOP))
        ax.plot([x, x], [low, high], color=look["color"], linewidth=0.8, zorder=2)
    if row.stall_left > TOP:
        ax.annotate("", (x, TOP + 0.04), (x, TOP - 0.1), arrowprops={"arrowstyle": "->", "color": look["color"]})
    else:
        _common.point(ax, x, row.stall_left, look, recorded, zorder=5)
