"""The simulator beside a GPU: stall, TPOT and end-to-end time of each policy, as simulated against as measured.

One row a scenario. On the line both agree; the band is the bar of that quantity (none is set for stall). Hollow: the
same simulated without contention of the two directions, the ablation that a reader would expect to matter least.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pagedkv.fidelity.bars import BARS
from pagedkv.paper import fidelity_rows, style

PANELS = {
    "stall_s": ("stall", None),
    "tpot_mean_s": ("TPOT, mean", "tpot"),
    "end_to_end_mean_s": ("end to end, mean", "end to end"),
}
"""Quantity: title, and the name of its bar."""
LIMITS = {bar.name: bar.limit for bar in BARS}
ABLATION = "no contention"


def looks(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    """Colour by prefetch policy and marker by variant of it, for every (series, eviction)."""
    colours, seen = style.palette(rows["prefetch"]), {}
    for row in rows.drop_duplicates(["series", "eviction"]).itertuples():
        variant = sum(look["color"] == colours[row.prefetch] for look in seen.values())
        marker = style.MARKERS[variant % len(style.MARKERS)]
        seen[row.series, row.eviction] = {"color": colours[row.prefetch], "marker": marker}
    return seen


def handles(rows: pd.DataFrame) -> list[Line2D]:
    """Legend entries of all policies."""
    return [Line2D([], [], linestyle="", label=", ".join(name), **look) for name, look in looks(rows).items()]


def draw_fidelity(rows: pd.DataFrame) -> Figure:
    """A row a scenario, a panel a quantity, a mark a policy."""
    closed = fidelity_rows.of_kind(rows, "closed")
    without = rows[(rows["kind"] == "ablation") & (rows["ablation"] == ABLATION)]
    names = fidelity_rows.scenarios(closed)
    if not names:
        return style.empty("no closed loop was measured on a GPU for this build", style.PAGE)
    figure, axes = style.figure(style.PAGE, 0.6 + 1.9 * len(names), len(names), len(PANELS))
    for row, name in zip(axes, names, strict=True):
        for ax, quantity in zip(row, PANELS, strict=True):
            own = [frame[frame["scenario"] == name] for frame in (closed, without)]
            _panel(ax, *own, quantity, looks(closed))
        row[0].set_ylabel(f"{name}\nsimulated (s)")
    for ax, (title, _) in zip(axes[0], PANELS.values(), strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        ax.set_xlabel("measured (s)")
    style.legend_below(figure, _legend(closed, without), 5)
    return figure


def _panel(ax: Axes, closed: pd.DataFrame, without: pd.DataFrame, quantity: str, look_of: dict) -> None:
    bar = LIMITS.get(PANELS[quantity][1])
    ends = pd.concat([closed[f"{quantity}_{side}"] for side in ("measured", "simulated")]).dropna()
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    room = 0.12 * (high - low) or 0.05 * high or 1.0
    limits = max(0.0, low - room), high + room
    ax.plot(limits, limits, color=style.GREY, linewidth=0.8, zorder=1)
    if bar is not None:
        edges = [[x * (1 + side * bar) for x in limits] for side in (-1, 1)]
        ax.fill_between(limits, *edges, color=style.GREY, alpha=0.2, linewidth=0, zorder=0)
    for frame, more in ((without, {"markerfacecolor": "none", "markeredgewidth": 0.8}), (closed, style.HALO)):
        for row in frame.itertuples():
            place = getattr(row, f"{quantity}_measured"), getattr(row, f"{quantity}_simulated")
            ax.plot(*place, linestyle="", **look_of[row.series, row.eviction], **more)
    ax.set_xlim(*limits)
    ax.set_ylim(*limits)
    ax.locator_params(nbins=4)


def _legend(closed: pd.DataFrame, without: pd.DataFrame) -> list:
    made: list = handles(closed)
    if len(without):
        look = {"marker": "o", "linestyle": "", "markerfacecolor": "none"}
        made.append(Line2D([], [], color=style.GREY, label=ABLATION, **look))
    return [*made, Line2D([], [], color=style.GREY, label="equal"), Patch(color=style.GREY, alpha=0.2, label="bar")]
