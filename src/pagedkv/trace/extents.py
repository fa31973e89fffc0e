"""Runs of consecutive blocks: how block tables are written down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def extents(contents: np.ndarray, slots: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Split equally long arrays into (offset, count, first slot, slot stride) with contents counting up by one and
    slots by a constant of -1 or 1 inside each extent. A vLLM free queue gives both directions."""
    count = len(contents)
    # Lists, because most tables are short or scattered: a call of NumPy an extent would cost more than its elements.
    contents, slots = np.asarray(contents).tolist(), np.asarray(slots).tolist()
    start = 0
    while start < count:
        end, stride = start + 1, 1
        if end < count and contents[end] - contents[start] == 1 and abs(slots[end] - slots[start]) == 1:
            stride = slots[end] - slots[start]
            while end < count and contents[end] - contents[end - 1] == 1 and slots[end] - slots[end - 1] == stride:
                end += 1
        yield start, end - start, slots[start], stride
        start = end


def expand(first: np.ndarray, count: np.ndarray, stride: np.ndarray | int = 1) -> np.ndarray:
    """Concatenate first[i] + stride[i] * (0 .. count[i]-1) over all i."""
    total = int(count.sum())
    if total == 0:
        return np.zeros(0, np.int64)
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + within * (np.repeat(stride, count) if np.ndim(stride) else stride)
