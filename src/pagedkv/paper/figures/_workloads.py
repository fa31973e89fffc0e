"""A grid with a panel for each workload in which something is loaded."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pagedkv.paper import predict_rows, style
from pagedkv.paper.figures import _common


def panels(
    rows: pd.DataFrame, band: float, beside: float, ylabel: str, xlabel: str = ""
) -> tuple[Figure, dict[str, Axes]]:
    """The figure and its empty panels by workload: `band` inches high each, with `beside` for what is not a panel.

    A figure without panels says that nothing is loaded.
    """
    shown = predict_rows.with_faults(rows)
    if not shown:
        return style.empty("nothing is loaded in any scenario of this build", style.PAGE), {}
    bands, columns = _common.grid_shape(len(shown), 5)
    figure, axes = style.figure(style.PAGE, band * bands + beside, bands, columns, sharex=True, sharey=True)
    for index, (ax, name) in enumerate(zip(axes.flat, shown, strict=False)):
        ax.set_title(name)
        if index % columns == 0:
            ax.set_ylabel(ylabel)
        if index + columns >= len(shown):
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(xlabel)
    style.hide(axes.flat[len(shown) :])
    return figure, dict(zip(shown, axes.flat, strict=False))
