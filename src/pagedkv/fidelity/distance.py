"""How far apart two sequences are: the fewest insertions, deletions and replacements that make one the other."""

from __future__ import annotations

import numpy as np

BAND = 1024


def edit_distance(one: np.ndarray, other: np.ndarray, band: int = BAND) -> int:
    """Levenshtein distance of two arrays, O(len * band): exact up to `band`, beyond that an upper bound.

    Ukkonen's cut-off: a path of at most `band` edits never leaves the diagonal by more than `band`. The common
    beginning and end are set aside first. Insertions within a row are a running minimum, so that a row is one pass.
    """
    one, other = _middle(np.asarray(one), np.asarray(other))
    rows, columns = len(one), len(other)
    if not rows or not columns:
        return max(rows, columns)
    reach, far = band + abs(rows - columns), rows + columns
    place = np.arange(columns + 1)
    above, here = place.copy(), np.full(columns + 1, far)
    for row in range(1, rows + 1):
        low, high = max(0, row - reach), min(columns, row + reach)
        first = max(1, low)
        part, before = slice(first, high + 1), slice(first - 1, high)
        here[part] = np.minimum(above[part] + 1, above[before] + (other[before] != one[row - 1]))
        # Left and right of the band nothing is reached, which the next row has to see.
        here[first - 1] = row if low == 0 else far
        here[high + 1 : high + 2] = far
        window = slice(low, high + 1)
        here[window] = np.minimum.accumulate(here[window] - place[window]) + place[window]
        above, here = here, above
    return int(above[columns])


def _middle(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both without what they begin with alike and end with alike."""
    length = min(len(one), len(other))
    begin = _alike(one[:length], other[:length])
    one, other = one[begin:], other[begin:]
    length = min(len(one), len(other))
    end = _alike(one[::-1][:length], other[::-1][:length])
    return one[: len(one) - end], other[: len(other) - end]


def _alike(one: np.ndarray, other: np.ndarray) -> int:
    """How many elements two equally long arrays begin with alike."""
    differs = one != other
    return int(differs.argmax()) if differs.any() else len(one)
