"""Every policy side by side: stall removed under D-step, for each workload of the leaderboard.

Filled: eviction fixed at LRU, a mark an address space. Hollow diamonds: policies that read the plan, with the eviction
of their level. Dashed: the bound. Vertical line: nothing removed. Lines behind the marks: 95 % intervals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import frames, style
from pagedkv.paper.figures import _common
from pagedkv.paper.leaderboard import judged, rows_of

MARKS = {"logical": "o", "physical": "s", "host": "^", "host-contiguous": "<", "host-scattered": ">"}
LEVELS = ("#999999", "#56B4E9", "#0072B2", "#332288", "#D55E00", "#CC79A7", "#009E73")
"""Colours of I0 to I6."""
LEAST = -1.0
"""Less than this is drawn at the edge."""


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """A panel a workload, a line a policy, least knowledge at the top."""
    layered = rows_of(metrics, "D-layer")
    rows = pd.concat([judged(rows_of(metrics)), layered[layered["eviction"].isin(frames.LRU)]])
    rows = rows[rows["stall_removed"].notna() & (rows["prefetch"] != "none") & rows["knowledge"].notna()]
    if rows.empty:
        return style.empty("this build has no leaderboard", style.PAGE)
    rows = rows.assign(name=rows["label"].where(rows["kind"].isin(["schedule", "oracle"]), rows["prefetch"]))
    names = _order(rows)
    shown = frames.scenarios(rows)
    figure, axes = style.figure(style.PAGE, 0.125 * len(names) + 0.9, 1, len(shown), sharex=True, sharey=True)
    bound = rows_of(metrics)
    for ax, pair in zip(axes[0], shown, strict=True):
        _panel(ax, frames.of_scenario(rows, pair), names)
        most = frames.of_scenario(bound, pair)["bound_removed"].median()
        if np.isfinite(most):
            ax.axvline(most, color=style.BOUND, linestyle="--", linewidth=0.9)
        ax.set_title(frames.title(pair))
        ax.set_xlabel("stall removed")
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=6)
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    axes[0, 0].set_xlim(LEAST - 0.05, 1.05)
    style.legend_below(figure, _legend(rows), 7)
    return figure


def _order(rows: pd.DataFrame) -> list[str]:
    """Controls first, then by level and name."""
    rank = rows.assign(place=rows["kind"] != "other").groupby("name")[["place", "knowledge"]].min().reset_index()
    return list(rank.sort_values(["place", "knowledge", "name"])["name"])


def _panel(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    ax.axvline(0, color=style.GREY, linewidth=0.6)
    places = {name: place for place, name in enumerate(names)}
    for row in rows.itertuples():
        matched = row.eviction not in frames.LRU
        x, y, colour = max(LEAST, row.stall_removed), places[row.name], LEVELS[int(row.knowledge)]
        ends = _common.interval(row, "stall_removed")
        if ends:
            ax.plot(np.clip(ends, LEAST, 1), [y, y], color=colour, linewidth=0.6, alpha=0.6, zorder=2)
        look = {"marker": "D" if matched else MARKS.get(row.address, "o"), "color": colour, "markersize": 2.8}
        ax.plot([x], [y], linestyle="", zorder=4, **look, **({"markerfacecolor": "none"} if matched else {}))
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.tick_params(axis="x", labelsize=6)


def _legend(rows: pd.DataFrame) -> list[Line2D]:
    there = sorted(rows["knowledge"].astype(int).unique())
    made = [Line2D([], [], color=LEVELS[k], marker="o", linestyle="", label=f"I{k}") for k in there]
    spaces = [space for space in MARKS if space in set(rows["address"])]
    made += [Line2D([], [], color=style.GREY, marker=MARKS[s], linestyle="", label=s) for s in spaces]
    hollow = {"color": style.GREY, "marker": "D", "linestyle": "", "markerfacecolor": "none"}
    made.append(Line2D([], [], **hollow, label="eviction of its level"))
    return [*made, Line2D([], [], color=style.BOUND, linestyle="--", label="bound")]
