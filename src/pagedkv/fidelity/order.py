"""Whether a simulation puts policies into the order that was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

NOTABLE = 0.02
"""A gain of one policy over another that a simulation has to get the right way round."""

ROUNDING = 1e-9


@dataclass(frozen=True)
class Order:
    """`tau`: Kendall's tau-b of all pairs. Of those that differ by more than NOTABLE as measured, `agreeing` of
    `notable` are the same way round when simulated. `unlike`: indices of the pair with the largest gain, on either
    side, that the simulation does not order as measured; `gains`: that as measured and as simulated."""

    tau: float
    pairs: int
    notable: int
    agreeing: int
    unlike: tuple[int, int] | None
    gains: tuple[float, float]


def compare(measured: Sequence[float], simulated: Sequence[float]) -> Order:
    """Compare the orders of two equally long lists of what is better when smaller."""
    net, tied_measured, tied_simulated, notable, agreeing = 0, 0, 0, 0, 0
    unlike, gains = None, (0.0, 0.0)
    pairs = list(combinations(range(len(measured)), 2))
    for i, j in pairs:
        one, other = _sign(measured[i], measured[j]), _sign(simulated[i], simulated[j])
        net += one * other
        tied_measured += one == 0
        tied_simulated += other == 0
        own = _gain(measured[i], measured[j]), _gain(simulated[i], simulated[j])
        if own[0] > NOTABLE:
            notable += 1
            agreeing += one == other
        if one != other and max(own) > max(gains):
            unlike, gains = (i, j), own
    scale = math.sqrt((len(pairs) - tied_measured) * (len(pairs) - tied_simulated))
    return Order(net / scale if scale else math.nan, len(pairs), notable, agreeing, unlike, gains)


def _sign(one: float, other: float) -> int:
    """Which of two is larger, 0 where only rounding tells them apart."""
    return 0 if math.isclose(one, other, rel_tol=ROUNDING) else (1 if one > other else -1)


def _gain(one: float, other: float) -> float:
    """What the better one saves of the worse one."""
    worse = max(one, other)
    return 1 - min(one, other) / worse if worse > 0 else 0.0
