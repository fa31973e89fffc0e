"""Step times that the calibration predicts against measured ones, and its relative errors.

Steps of the model alone: what the engine adds is in neither. One mark a point of the plan, the median of its repeats.
Filled: points that the calibration was fitted to. Hollow: points of other batches and contexts, which it never saw.
Dotted: errors of 3 %, the goal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from pagedkv.device.cost import EngineCost, MeasuredCost
from pagedkv.device.fit import relative_error
from pagedkv.device.points import CHECK, FIT
from pagedkv.device.raw import Step
from pagedkv.paper import style
from pagedkv.paper.measured import Measured

KINDS = {"decode": ("#332288", "o"), "prefill": ("#E69F00", "s"), "mixed": ("#44AA99", "^")}
GOAL = 0.03
MS = 1e3


def draw_measured(measured: Measured | None) -> Figure:
    """Two panels: predicted time, and its error, both against measured time."""
    steps = [step for step in measured.raw.steps if step.kind in KINDS] if measured else []
    if not steps:
        return style.empty("no step was measured for this build")
    cost = measured.calibration.compute
    if not isinstance(cost, MeasuredCost):
        return style.empty("the calibration of this build is a roofline, fitted to no step")
    # The steps were measured without the engine around them.
    cost = replace(cost, engine=EngineCost())
    errors = np.array([relative_error(step, cost) for step in steps])
    figure, axes = style.figure(style.PAGE, 2.6, 1, 2)
    _predicted(axes[0, 0], steps, errors)
    _errors(axes[0, 1], steps, errors)
    style.legend_below(figure, _legend(steps), 6)
    return figure


def _predicted(ax: Axes, steps: list[Step], errors: np.ndarray) -> None:
    _logarithmic(ax.xaxis)
    _logarithmic(ax.yaxis)
    times = np.array([step.total_s for step in steps]) * MS
    _marks(ax, steps, times * (1 + errors))
    ends = [times.min() / 1.2, times.max() * 1.2]
    ax.plot(ends, ends, color=style.GREY, linewidth=0.8, zorder=1)
    ax.set_xlabel("measured step time (ms)")
    ax.set_ylabel("predicted step time (ms)")


def _errors(ax: Axes, steps: list[Step], errors: np.ndarray) -> None:
    _logarithmic(ax.xaxis)
    ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for goal in (-GOAL, GOAL):
        ax.axhline(goal, color=style.GREY, linestyle=":", linewidth=0.8, zorder=1)
    _marks(ax, steps, errors)
    unseen = np.array([step.split == CHECK for step in steps])
    if unseen.any():
        ax.set_title(
            f"unseen points: mean absolute error {np.abs(errors[unseen]).mean():.1%},"
            f" worst {np.abs(errors[unseen]).max():.1%}, signed mean {errors[unseen].mean():+.1%}",
            fontsize=7,
        )
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:+.0%}" if abs(v) >= 0.01 or v == 0 else f"{v:+.1%}")
    ax.set_xlabel("measured step time (ms)")
    ax.set_ylabel("error of prediction")


def _logarithmic(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 of each decade, in plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def _marks(ax: Axes, steps: list[Step], heights: np.ndarray) -> None:
    for kind in KINDS:
        for split in (FIT, CHECK):
            own = [i for i, step in enumerate(steps) if (step.kind, step.split) == (kind, split)]
            times = [steps[i].total_s * MS for i in own]
            look = _look(kind, split)
            ax.plot(times, heights[own], linestyle="", markersize=3.4, zorder=3 + (split == CHECK), **look)


def _look(kind: str, split: str) -> dict:
    colour, marker = KINDS[kind]
    fill = {"markerfacecolor": "none", "markeredgewidth": 0.8} if split == CHECK else style.HALO
    return {"color": colour, "marker": marker, **fill}


def _legend(steps: list[Step]) -> list[Line2D]:
    names = {FIT: "fitted", CHECK: "unseen"}
    seen = {(step.kind, step.split) for step in steps}
    return [
        Line2D([], [], linestyle="", label=f"{kind}, {names[split]}", **_look(kind, split))
        for split in (FIT, CHECK)
        for kind in KINDS
        if (kind, split) in seen
    ]
