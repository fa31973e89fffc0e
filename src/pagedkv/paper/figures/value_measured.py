"""What each level of knowledge is worth, measured on a GPU under a pinned schedule beside the same simulated.

Stall that is left (of `none` + LRU on the same device) against the level; filled: measured, hollow: simulated; the
steps join the best policy up to each level.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import fidelity_rows, frames, style
from pagedkv.paper.figures import _common
from pagedkv.paper.figures.fidelity import handles, looks

TOP = 1.4  # more than this is drawn at the upper edge
SIDES = {"measured": (-0.11, style.BOUND, "-"), "simulated": (0.11, style.GREY, "--")}
"""Side: its shift from the level, colour and style of its steps."""


def draw_fidelity(rows: pd.DataFrame) -> Figure:
    """A panel a scenario."""
    pinned = fidelity_rows.of_kind(rows, "pinned")
    pinned = pinned[pinned["stall_removed_measured"].notna() & pinned["knowledge"].notna()]
    names = fidelity_rows.scenarios(pinned)
    if not names:
        return style.empty("no pinned schedule was replayed on a GPU for this build", style.PAGE)
    figure, axes = style.figure(style.PAGE, 2.9, 1, len(names), sharey=True)
    for ax, name in zip(axes[0], names, strict=True):
        _panel(ax, pinned[pinned["scenario"] == name], looks(pinned))
        ax.set_title(name)
        ax.set_xlabel("knowledge")
    axes[0, 0].set_ylabel("stall left")
    axes[0, 0].set_ylim(0, None)
    style.legend_below(figure, _legend(pinned), 5)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, look_of: dict) -> None:
    for side, (shift, colour, line) in SIDES.items():
        left = 1 - rows[f"stall_removed_{side}"]
        best = left.groupby(rows["knowledge"]).min().sort_index().cummin()
        levels = np.arange(0, 7)
        ax.step(
            levels, best.reindex(levels).ffill(), where="mid", color=colour, linestyle=line, linewidth=0.9, zorder=1
        )
        more = style.HALO if side == "measured" else {"markerfacecolor": "none", "markeredgewidth": 0.9}
        for level, group in rows.groupby("knowledge"):
            for offset, row in zip(_common.spread(len(group), 0.5), group.itertuples(), strict=True):
                x = level + offset + shift
                y = min(TOP, 1 - getattr(row, f"stall_removed_{side}"))
                look = look_of[row.series, row.eviction]
                ax.plot([x], [y], linestyle="", zorder=3, **look, **more)
                ends = _common.interval(row, f"stall_removed_{side}")
                if ends:
                    ends = np.clip([1 - ends[1], 1 - ends[0]], 0, TOP)
                    ax.plot([x, x], ends, color=look["color"], linewidth=0.7)
    ax.set_xticks(range(7), frames.LEVELS)
    ax.set_xlim(-0.6, 6.6)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.grid(axis="x", visible=False)


def _legend(rows: pd.DataFrame) -> list[Line2D]:
    made = handles(rows)
    for side, (_, colour, line) in SIDES.items():
        hollow = {"markerfacecolor": "none"} if side == "simulated" else {}
        made.append(Line2D([], [], color=colour, linestyle=line, marker="o", label=side, **hollow))
    return made
