"""Arrays that grow with what they are indexed by."""

from __future__ import annotations

import numpy as np


def fitted(column: np.ndarray, index: int, empty: float | None = -1) -> np.ndarray:
    """`column` itself if it has a row `index`, else a longer copy whose new rows are `empty` (amortised O(1) a row)."""
    if index < len(column):
        return column
    grown = np.full(max(1024, 2 * (index + 1)), empty, column.dtype)
    grown[: len(column)] = column
    return grown
