"""One look for every figure: sizes of a two-column article, type, colours of policies, and files of equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pagedkv.files import write_whole

COLUMN, PAGE = 3.3, 7.0  # widths in inches of one column and of both
BOUND = "#000000"
GREY = "#8a8a8a"
HALO = {"markeredgecolor": "white", "markeredgewidth": 0.5}

# Okabe and Ito's colours first, then those of Tol's muted scheme: both stay apart for colour-blind readers.
KNOWN = {
    "none": "#777777",
    "next_n": "#56B4E9",
    "linux_vma": "#0072B2",
    "leap_paper": "#CC79A7",
    "la_k": "#D55E00",
    "clairvoyant": "#009E73",
}
SPARE = ("#E69F00", "#332288", "#999933", "#882255", "#44AA99", "#AA4499", "#DDCC77", "#117733", "#CC6677", "#88CCEE")
MARKERS = "osD^vP<X>p*hd8"

RC = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "pagedkv",
}


def palette(policies: Iterable[str]) -> dict[str, str]:
    """A colour for each prefetch policy: its own if it is known, else the spare ones by sorted name."""
    names = set(policies)
    unknown = sorted(names - KNOWN.keys())
    return {n: KNOWN[n] for n in names & KNOWN.keys()} | {n: SPARE[i % len(SPARE)] for i, n in enumerate(unknown)}


def figure(width: float = COLUMN, height: float = 2.2, rows: int = 1, columns: int = 1, **options: object):
    """A figure of the house style with a grid of axes; returns (figure, 2-d array of axes)."""
    with plt.rc_context(RC):
        made, axes = plt.subplots(
            rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
        )
        made.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    return made, axes


def hide(axes: Iterable[Axes]) -> None:
    """Blank the axes that a grid has left over."""
    for ax in axes:
        ax.set_axis_off()


def empty(message: str, width: float = COLUMN) -> Figure:
    """What is drawn where a build has no rows for a figure: a sentence that says so."""
    made, axes = figure(width, 0.8)
    axes[0, 0].set_axis_off()
    axes[0, 0].text(0.5, 0.5, message, ha="center", va="center", color=GREY, transform=axes[0, 0].transAxes)
    return made


def legend_below(made: Figure, handles: list, columns: int) -> None:
    """One legend for the whole figure, under it."""
    if handles:
        labels = [h.get_label() for h in handles]
        made.legend(handles, labels, loc="outside lower center", ncols=max(1, min(columns, len(handles))))


def save(made: Figure, pdf: Path, png: Path) -> None:
    """Vector and raster copy, each written beside its place and renamed; equal figures are equal bytes."""
    with plt.rc_context(RC):
        for path, options in (
            (Path(pdf), {"format": "pdf", "metadata": {"CreationDate": None, "Producer": None, "Creator": None}}),
            (Path(png), {"format": "png", "dpi": 200, "metadata": {"Software": None}}),
        ):
            buffer = io.BytesIO()
            made.savefig(buffer, **options)
            write_whole(path, buffer.getvalue())
    plt.close(made)
