"""Rate of scattered copies between host and GPU against the size of a piece, as measured, by method.

One mark a method and size, of the copy with the most pieces. Hollow: the same while the GPU computes. The dashed line
is the calibrated rate of bytes alone, the grey one what the calibration charges for the copies that the engine makes.
Copies in both directions, and those beside compute, were enqueued before they started: the host's work of submitting is
not in their time, and what the calibration charges is drawn for the others alone.

The last panel is the price: by how much a copy to the GPU slows down what is computed meanwhile, a mark a size.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pagedkv.device.calibration import Calibration
from pagedkv.device.raw import Copy
from pagedkv.paper import style
from pagedkv.paper.measured import Measured

PANELS = {"h2d": "host to GPU", "d2h": "GPU to host", "both": "both at once (sum)"}
METHODS = {
    "batch": ("batched copy", "#332288", "o"),
    "single": ("a copy a piece", "#E69F00", "s"),
    "gather8": ("kernel, 8 SMs", "#44AA99", "^"),
    "gather32": ("kernel, 32 SMs", "#882255", "v"),
}
ENGINE = "batch"
CONCURRENT = {"matmul": 1.4, "stream": 1.75, "decode": 2.2}
"""What computes meanwhile, and by what factor its marks are shifted, so that they stay apart."""
DIRECTION_OF_PRICE = "h2d"
GB = 1e9


def draw_measured(measured: Measured | None) -> Figure:
    """A panel a direction, and one of the price where that was measured."""
    copies = [c for c in measured.raw.copies if c.method in METHODS] if measured else []
    shown = [direction for direction in PANELS if any(c.direction == direction for c in copies)]
    if not shown:
        return style.empty("no copy was measured for this build")
    slowed = [
        c for c in copies if c.direction == DIRECTION_OF_PRICE and c.compute_slowdown and c.concurrent in CONCURRENT
    ]
    panels = len(shown) + bool(slowed)
    highest = measured.calibration.both_directions_bytes_per_s / GB if "both" in shown else 0.0
    figure, axes = style.figure(style.COLUMN if panels == 1 else style.PAGE, 2.5, 1, panels)
    for ax, direction in zip(axes[0], shown, strict=False):
        _panel(ax, [c for c in copies if c.direction == direction], measured.calibration)
        ax.set_title(PANELS[direction])
        ax.set_xlabel("bytes of a piece")
        ax.set_ylim(0, 1.08 * max(highest, *(_rate(c) for c in copies)))
        ax.tick_params(labelleft=ax is axes[0, 0])
    axes[0, 0].set_ylabel("GB/s")
    if slowed:
        _price(axes[0, -1], slowed)
    style.legend_below(figure, _legend(copies), 4)
    return figure


def _panel(ax: Axes, copies: list[Copy], calibration: Calibration) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda size, _: _size(size))
    for method, (_, colour, marker) in METHODS.items():
        own = [c for c in copies if c.method == method]
        alone = _most_pieces([c for c in own if c.concurrent == "none"])
        rates = [_rate(c) for c in alone]
        if method == ENGINE:
            _charged(ax, alone, calibration)
        for copy, rate in zip(alone, rates, strict=True):
            ends = [copy.total_bytes / seconds / GB for seconds in (copy.p90, copy.p10)]
            ax.plot([copy.piece_bytes] * 2, ends, color=colour, linewidth=0.8)
            ax.plot([copy.piece_bytes], [rate], color=colour, marker=marker, linestyle="", **style.HALO)
        ax.plot([c.piece_bytes for c in alone], rates, color=colour, linewidth=0.8, zorder=1.5)
        for concurrent, shift in CONCURRENT.items():
            for copy in _most_pieces([c for c in own if c.concurrent == concurrent]):
                ax.plot(
                    [copy.piece_bytes * shift], [_rate(copy)], color=colour, marker=marker, linestyle="",
                    markersize=3, markerfacecolor="none", zorder=4,
                )  # fmt: skip


def _charged(ax: Axes, copies: list[Copy], calibration: Calibration) -> None:
    """What the simulated device charges for the copies of the engine, and the rate of bytes alone."""
    if not copies:
        return
    both = copies[0].direction == "both"
    cost = calibration.device_to_host if copies[0].direction == "d2h" else calibration.host_to_device
    limit = calibration.both_directions_bytes_per_s if both else cost.bytes_per_s
    ax.axhline(limit / GB, color=style.BOUND, linestyle="--", linewidth=0.9)
    if both:
        return
    charged = [c.total_bytes / (cost.submit_s + c.pieces * cost.each_s(c.piece_bytes))
               for c in copies]  # fmt: skip
    ax.plot([c.piece_bytes for c in copies], [rate / GB for rate in charged], color=style.GREY, linewidth=2.2, zorder=1)


def _price(ax: Axes, copies: list[Copy]) -> None:
    kinds = [kind for kind in CONCURRENT if any(c.concurrent == kind for c in copies)]
    methods = [method for method in METHODS if any(c.method == method for c in copies)]
    for copy in copies:
        place = kinds.index(copy.concurrent) + 0.18 * (methods.index(copy.method) - (len(methods) - 1) / 2)
        _, colour, marker = METHODS[copy.method]
        ax.plot([place], [100 * (copy.compute_slowdown - 1)], color=colour, marker=marker, linestyle="", **style.HALO)
    ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    ax.set_xticks(range(len(kinds)), kinds)
    ax.set_xlim(-0.5, len(kinds) - 0.5)
    ax.set_title("compute meanwhile")
    ax.set_ylabel("slow-down (%)")
    ax.set_xlabel("what is computed")


def _most_pieces(copies: list[Copy]) -> list[Copy]:
    """Of each size the copy with the most pieces, by size."""
    best: dict[int, Copy] = {}
    for copy in sorted(copies, key=lambda c: (c.piece_bytes, c.pieces)):
        best[copy.piece_bytes] = copy
    return list(best.values())


def _rate(copy: Copy) -> float:
    return copy.total_bytes / copy.seconds / GB


def _size(size: float) -> str:
    for unit, scale in (("M", 1 << 20), ("K", 1 << 10)):
        if size >= scale:
            return f"{size / scale:g}{unit}"
    return f"{size:g}"


def _legend(copies: list[Copy]) -> list[Line2D]:
    used = {c.method for c in copies}
    marks = [
        Line2D([], [], color=colour, marker=marker, label=label)
        for method, (label, colour, marker) in METHODS.items()
        if method in used
    ]
    if any(c.concurrent != "none" for c in copies):
        hollow = {"marker": "o", "linestyle": "", "markersize": 3, "markerfacecolor": "none"}
        marks.append(Line2D([], [], color=style.GREY, label="while the GPU computes", **hollow))
    if ENGINE in used:
        marks.append(Line2D([], [], color=style.GREY, linewidth=2.2, label="calibration, batched copy"))
        marks.append(Line2D([], [], color=style.BOUND, linestyle="--", label="calibrated rate of bytes"))
    return marks
