"""A trace as a picture: which block is read in which step, by content above (what a request knows) and by slot below.

Each rectangle is a run of reads; red bars are loads from the host. Above, a request is one contiguous band and its
return is a band that starts again: the schedule decides. Below, the same accesses as the driver of the GPU sees them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from pagedkv.paper import style

STEPS = 160  # steps shown
RUNS = 6000  # rectangles, and loads, drawn at most
WRITE_THROUGH = 2  # cause of a transfer to the host (docs/architecture.md)
# Pale, so that none is mistaken for the colour of a policy.
HUES = ("#a6bddb", "#c7e9c0", "#dadaeb", "#fdd0a2", "#d9d9d9", "#e7d4b8", "#9fcfcb", "#f4c2d2")
LOAD = "#a50f15"


def draw(metrics: pd.DataFrame, serve: pd.DataFrame, trace: object | None) -> Figure:
    """Two panels over one window of steps, placed where loads begin."""
    if trace is None or not len(trace.reads["step"]):
        return style.empty("no trace was given")
    first = _window(trace)
    figure, axes = style.figure(style.COLUMN, 3.6, 2, 1, sharex=True)
    extents = list(_extents(trace, first, first + STEPS))
    loads = list(_loads(trace, first, first + STEPS))
    spans = [_contents(extents, loads), {}]
    for ax, kind, rank in zip(axes[:, 0], ("content", "slot"), spans, strict=True):
        _panel(ax, extents, loads, kind, rank)
        ax.set_xlim(first, min(first + STEPS, max((e[2] for e in extents), default=first + 1)))
        ax.grid(visible=False)
    axes[0, 0].set_ylabel("block by content (logical)")
    axes[1, 0].set_ylabel("block by slot (physical)")
    axes[1, 0].set_xlabel(f"engine step ({trace.header.get('scenario', 'trace')})")
    marks = [Patch(color=HUES[0], label="read (a colour a request)")]
    marks.append(Line2D([], [], color=LOAD, linewidth=2, label="loaded from host"))
    style.legend_below(figure, marks, 2)
    return figure


def _window(trace: object) -> int:
    steps = _load_steps(trace)
    last = int((trace.reads["step"] + trace.reads["steps"]).max())
    start = int(np.median(steps)) if len(steps) else last // 2
    return max(0, min(start - STEPS // 4, last - STEPS))


def _load_mask(trace: object) -> np.ndarray:
    """Transfers that bring blocks to the GPU: all but the writes through to the host."""
    return np.asarray(trace.transfers["cause"]) != WRITE_THROUGH


def _load_steps(trace: object) -> np.ndarray:
    return np.asarray(trace.transfers["seen_step"])[_load_mask(trace)]


def _table_of(trace: object) -> dict[int, list[tuple[int, int, int, int, int, int]]]:
    """Per request: (step, first block, end block, slot, content, stride), in order of step."""
    rows: dict[int, list] = defaultdict(list)
    t = trace.tables
    for s, r, f, n, slot, content, stride in zip(
        t["step"], t["request"], t["first_block"], t["blocks"], t["first_slot"], t["first_content"], t["slot_stride"],
        strict=True,
    ):  # fmt: skip
        rows[int(r)].append((int(s), int(f), int(f + n), int(slot), int(content), int(stride)))
    return rows


def _in_force(rows: list, step: int, low: int, high: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Pieces (first, end, slot, content, stride) of blocks [low, high) by the newest table rows up to `step`."""
    open_parts = [(low, high)]
    for since, first, end, slot, content, stride in reversed(rows):
        if since > step:
            continue
        rest = []
        for a, b in open_parts:
            x, y = max(a, first), min(b, end)
            if x < y:
                yield x, y, slot + (x - first) * stride, content + x - first, stride
                rest += [(a, x), (y, b)]
            else:
                rest.append((a, b))
        open_parts = [(a, b) for a, b in rest if a < b]
        if not open_parts:
            return


def _extents(trace: object, first: int, last: int) -> Iterator[tuple[int, int, int, int, int, int, int]]:
    """(request, from step, to step, blocks, slot, content, stride) of every read in the window."""
    rows, r, drawn = _table_of(trace), trace.reads, 0
    tokens = int(trace.header.get("block_tokens", 16))
    for step, steps, request, low, done, more in zip(
        r["step"], r["steps"], r["request"], r["first_block"], r["computed_tokens"], r["scheduled_tokens"], strict=True
    ):
        start, end = max(int(step), first), min(int(step + steps), last)
        if start >= end or drawn > RUNS:
            continue
        high = -(-int(done + (end - step) * more) // tokens)
        for a, b, slot, content, stride in _in_force(rows[int(request)], end - 1, int(low), high):
            drawn += 1
            yield int(request), start, end, b - a, slot, content, stride


def _loads(trace: object, first: int, last: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(step, blocks, slot, content, stride) of every load that the window sees complete."""
    moves, t = trace.transfers, trace.tables
    seen = np.asarray(moves["seen_step"])
    starts, ends = np.asarray(t["first_content"]), np.asarray(t["first_content"]) + np.asarray(t["blocks"])
    for index in np.flatnonzero(_load_mask(trace) & (seen >= first) & (seen < last))[:RUNS]:
        low = int(moves["first_content"][index])
        high = low + int(moves["blocks"][index])
        rows = np.flatnonzero((starts < high) & (ends > low) & (np.asarray(t["step"]) <= seen[index]))
        columns = ("step", "first_content", "blocks", "first_slot", "first_content", "slot_stride")
        places = [tuple(int(t[c][r]) for c in columns) for r in rows]
        table = [(step, start, start + blocks, slot, content, d) for step, start, blocks, slot, content, d in places]
        for a, b, slot, content, stride in _in_force(table, int(seen[index]), low, high):
            yield int(seen[index]), b - a, slot, content, stride


def _contents(extents: list, loads: list) -> dict[int, int]:
    """Contents that the window reads, numbered without gaps in order of creation."""
    used = {c for *_, n, _, content, _ in extents for c in range(content, content + n)}
    used |= {c for _, n, _, content, _ in loads for c in range(content, content + n)}
    return {content: place for place, content in enumerate(sorted(used))}


def _panel(ax: Axes, extents: list, loads: list, kind: str, rank: dict[int, int]) -> None:
    patches, colours, top = [], [], 1
    for request, start, end, blocks, slot, content, stride in extents:
        low, high = _span(kind, rank, slot, content, blocks, stride)
        top = max(top, high)
        patches.append(Rectangle((start, low), end - start, high - low))
        colours.append(HUES[request % len(HUES)])
    ax.add_collection(PatchCollection(patches, facecolors=colours, edgecolors="none", linewidths=0))
    for step, blocks, slot, content, stride in loads:
        low, high = _span(kind, rank, slot, content, blocks, stride)
        ax.plot([step, step], [low, high], color=LOAD, linewidth=1.4, solid_capstyle="butt")
    ax.set_ylim(0, top)


def _span(kind: str, rank: dict[int, int], slot: int, content: int, blocks: int, stride: int) -> tuple[int, int]:
    if kind == "content":
        low = rank[content]
        return low, low + blocks
    end = slot + (blocks - 1) * stride
    return min(slot, end), max(slot, end) + 1
