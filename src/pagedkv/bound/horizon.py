"""B6(k): how far a policy has to look ahead, and what looking k steps ahead achieves.

B6(k) is the stall of `la_k` with the plan `true` and horizon k. It is a value, not a bound on all policies: it comes
from a replay, and says what k steps of perfect knowledge are worth to a policy that wastes none. k = 0 is demand
loading, k = inf comes near B4; the horizon k* of `k_star` is where the curve between them has flattened.
"""

from __future__ import annotations

import math

import numpy as np


def k_star(swapped_in: np.ndarray, page_s: float, step_s: float) -> int:
    """Steps of knowledge that hide the largest load: ceil(V page_s / step_s) for V blocks (policies.md, 6.2).

    `swapped_in`: blocks that entered at each change of the batch, as `none` + `lru` loaded them under D-step; V is the
    largest of them. `page_s`: time that a prefetched block takes on the link, its share of a submission included; with
    the bare tau of the bounds the horizon comes out too short. `step_s`: mean compute time of a step. Returns 0
    without loads. Raises ValueError if a step takes no time.
    """
    if step_s <= 0:
        raise ValueError(f"a step takes {step_s} s")
    largest = int(swapped_in.max()) if len(swapped_in) else 0
    return math.ceil(largest * page_s / step_s)
