"""Runs of consecutive blocks: how block tables are written down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def extents(contents: np.ndarray, slots: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Split equally long arrays into (offset, count, first slot, slot stride) with contents counting up by one and
    slots by a constant of -1 or 1 inside each extent. A vLLM free queue gives both directions."""
    start, count = 0, len(contents)
    if count == 0:
        return
    follows = np.diff(contents) == 1
    strides = np.diff(slots)
    while start < count:
        stride = int(strides[start]) if start + 1 < count and follows[start] and abs(strides[start]) == 1 else 1
        end = start + 1
        if end < count:
            broken = ~(follows[start:] & (strides[start:] == stride))
            end += int(np.argmax(broken)) if broken.any() else len(broken)
        yield start, end - start, int(slots[start]), stride
        start = end


def expand(first: np.ndarray, count: np.ndarray, stride: np.ndarray | int = 1) -> np.ndarray:
    """Concatenate first[i] + stride[i] * (0 .. count[i]-1) over all i."""
    total = int(count.sum())
    if total == 0:
        return np.zeros(0, np.int64)
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + within * (np.repeat(stride, count) if np.ndim(stride) else stride)
