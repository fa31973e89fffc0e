"""Miss ratio of LRU and MIN against capacity: where eviction, and not prefetching, is the lever.

Accesses are the pages that enter the batch. Solid: exact; dashed: from a tenth of the pages (SHARDS). Vertical: the
pool of the recording.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.paper import predict_rows, style
from pagedkv.paper.figures import _workloads

CURVES = {
    "lru": {"color": style.KNOWN["linux_vma"], "marker": "o", "linestyle": "-", "label": "LRU"},
    "lru, sampled": {"color": "#56B4E9", "marker": "", "linestyle": "--", "label": "LRU, from a tenth of the pages"},
    "min": {"color": style.KNOWN["clairvoyant"], "marker": "s", "linestyle": "-", "label": "MIN"},
}


def draw_predict(rows: pd.DataFrame, metrics: pd.DataFrame) -> Figure:
    """A panel a workload in which something is loaded; capacity relative to the recorded pool."""
    figure, panels = _workloads.panels(rows, 1.6, 0.4, "miss ratio", "capacity / pool")
    for name, ax in panels.items():
        _panel(ax, rows[rows["scenario"] == name])
    if panels:
        style.legend_below(figure, [Line2D([], [], markersize=3, **look) for look in CURVES.values()], 3)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    for stream, look in CURVES.items():
        curve = predict_rows.of(rows, "miss_ratio", stream=stream).sort_values("k")
        ax.plot(curve["k"], curve["value"], markersize=2.5, **look)
    ax.axvline(1.0, color=style.BOUND, linestyle=":", linewidth=0.9)
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
