"""TTFT, TPOT and throughput of the closed loop relative to `none` + LRU in the same demand mode. No bound applies."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pagedkv.paper import frames, style
from pagedkv.paper.figures import _common

PANELS = {
    "ttft_p50_s": "TTFT p50",
    "ttft_p99_s": "TTFT p99",
    "tpot_p50_s": "TPOT p50",
    "tokens_s": "throughput",
}


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """A panel a figure of merit, a line a scenario, a mark a policy."""
    rows = frames.pooled(frames.relative(serve, PANELS))
    places = list(rows[["scenario", "recorded", "demand"]].drop_duplicates().itertuples(index=False, name=None))
    places.sort(key=lambda p: p[1])
    if not places:
        return style.empty("no closed-loop run in this build", style.PAGE)
    figure, axes = style.figure(style.PAGE, 0.8 + 0.24 * len(places), 1, len(PANELS), sharey=True)
    looks = _common.looks(rows)
    offsets = dict(zip(looks, _common.spread(len(looks), 0.7), strict=True))
    for ax, (column, title) in zip(axes[0], PANELS.items(), strict=True):
        ax.axvline(1, color=style.GREY, linewidth=0.8)
        for place, (name, recorded, demand) in enumerate(places):
            own = rows[(rows["scenario"] == name) & (rows["recorded"] == recorded) & (rows["demand"] == demand)]
            for row in own.itertuples():
                value = getattr(row, column, float("nan"))
                if pd.notna(value):
                    height = place + offsets[row.series]
                    _common.point(ax, value, height, looks[row.series], recorded, markersize=3.2)
        ax.set_title(f"{title} ({'higher' if column == 'tokens_s' else 'lower'} is better)", fontsize=7)
        ax.set_xlabel("relative to none")
        low, high = ax.get_xlim()
        ax.set_xlim(min(low, 0.98), max(high, 1.02))
        ax.grid(axis="y", visible=False)
    single = len({p[2] for p in places}) == 1
    labels = [frames.title((n, r)) + ("" if single else f", {d}") for n, r, d in places]
    axes[0, 0].set_yticks(range(len(places)), labels)
    axes[0, 0].set_ylim(len(places) - 0.45, -0.55)
    style.legend_below(figure, _common.handles(rows, bound=False), 6)
    return figure
