"""What several figures share: legends, intervals, bound lines and grids of scenarios."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pagedkv.paper import frames, style

RECORDED_STYLE = {"markerfacecolor": "none", "markeredgewidth": 1.0}


def looks(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Colour by prefetch policy and marker by variant of it, for every series of a frame."""
    colours = style.palette(frame["prefetch"])
    seen: dict[str, dict[str, str]] = {}
    variants: dict[str, int] = {}
    of = frame.drop_duplicates("series").set_index("series")["prefetch"]
    for series in frames.policy_order(frame):
        policy = of[series]
        index = variants[policy] = variants.get(policy, -1) + 1
        seen[series] = {"color": colours[policy], "marker": style.MARKERS[index % len(style.MARKERS)]}
    return seen


def handles(frame: pd.DataFrame, bound: bool = True) -> list[Line2D]:
    """Legend entries: each series, the bound, and what is recorded elsewhere if there is any."""
    made = [Line2D([], [], linestyle="", label=s, **look) for s, look in looks(frame).items()]
    if bound:
        made.append(Line2D([], [], color=style.BOUND, linestyle="--", label="bound"))
    if frame["recorded"].any():
        made.append(Line2D([], [], color=style.GREY, marker="o", linestyle="", label="recorded", **RECORDED_STYLE))
    return made


def point(ax: Axes, x: float, y: float, look: dict[str, str], recorded: bool, **options: object) -> None:
    """One mark; hollow where the row was recorded in an earlier run and is not built here."""
    extra = RECORDED_STYLE if recorded else style.HALO
    ax.plot([x], [y], linestyle="", **(look | extra | options))


def interval(row: object, column: str) -> tuple[float, float] | None:
    """The confidence interval of a column of a row, if it has one."""
    low, high = getattr(row, f"{column}_lo", np.nan), getattr(row, f"{column}_hi", np.nan)
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def grid_shape(count: int, widest: int = 4) -> tuple[int, int]:
    """Rows and columns for so many panels."""
    columns = min(widest, max(1, count))
    return -(-max(1, count) // columns), columns


def spread(count: int, width: float = 0.6) -> np.ndarray:
    """Offsets that keep so many marks apart around one tick."""
    return np.linspace(-width / 2, width / 2, count) if count > 1 else np.zeros(count)
