"""Times as sums of non-negative costs: robust least squares on relative errors, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

REPLICATES = 200
HUBER = 1.345
"""Residuals beyond this many standard deviations count linearly: 95 % efficiency on normal noise (Huber 1964)."""
EXACT = 1e-9
LOW, HIGH = 2.5, 97.5


@dataclass(frozen=True)
class Fit:
    """`costs` [k] of the columns and `samples` [replicates, k] of them under resampled noise."""

    costs: np.ndarray
    samples: np.ndarray


def fit_costs(columns: np.ndarray, seconds: np.ndarray, noise: np.ndarray, replicates: int, seed: int = 0) -> Fit:
    """Non-negative costs such that `columns` [n, k] @ costs is `seconds` [n], each row relative to its own time.

    `noise` [n]: relative standard error of each time. A replicate adds to the fitted times normal noise as large as
    the residual, corrected for leverage (MacKinnon and White's HC3), or as `noise`, whichever is larger, and divides it
    by what few degrees of freedom know of it (as in Student's t). A model that does not hold widens the intervals as
    noise does.
    """
    relative = columns / seconds[:, None]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1.0
    relative = relative / scale
    weights, costs = _huber(relative)
    fitted, weighted = relative @ costs, relative * weights[:, None]
    spread = np.maximum(np.abs(1 - fitted) / (1 - _leverage(weighted[:, costs > 0])), noise)
    freedom = max(len(fitted) - int(np.count_nonzero(costs)), 3)
    inverse = np.linalg.pinv(weighted)
    samples = np.empty((replicates, len(costs)))
    rng = np.random.default_rng(seed)
    for index in range(replicates):
        student = np.sqrt(freedom / rng.chisquare(freedom))
        target = (fitted + spread * student * rng.standard_normal(len(fitted))) * weights
        free = inverse @ target
        samples[index] = free if (free >= 0).all() else nnls(weighted, target)[0]
    return Fit(costs / scale, samples / scale)


def _huber(relative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(square roots of the weights, costs) by iteratively reweighted least squares."""
    weights = np.ones(len(relative))
    costs = nnls(relative, weights)[0]
    for _ in range(30):
        residuals = np.abs(1 - relative @ costs)
        # As many residuals as there are free costs are small by construction.
        rest = np.sort(residuals)[np.count_nonzero(costs) :]
        deviation = 1.4826 * float(np.median(rest)) if len(rest) else 0.0
        if deviation < EXACT:
            break
        weights = np.sqrt(np.minimum(1.0, HUBER * deviation / np.maximum(residuals, EXACT)))
        before, costs = costs, nnls(relative * weights[:, None], weights)[0]
        if np.allclose(costs, before, rtol=1e-6, atol=0):
            break
    return weights, costs


def _leverage(columns: np.ndarray) -> np.ndarray:
    """How far each row determines its own fitted value, at most 0.9: a row alone on a column has no residual."""
    basis = np.linalg.qr(columns)[0]
    return np.minimum((basis**2).sum(axis=1), 0.9)


def interval(value: float, samples: np.ndarray) -> dict[str, float]:
    """A cost with its 95 % interval, as it is stored; the interval holds the value."""
    low, high = np.percentile(samples, [LOW, HIGH])
    return {"value": rounded(value), "low": rounded(min(low, value)), "high": rounded(max(high, value))}


def median_fit(values: np.ndarray, replicates: int, seed: int = 0) -> Fit:
    """The median of `values` as a fit of one cost; replicates draw the values anew, with replacement."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (replicates, len(values)))
    return Fit(np.array([np.median(values)]), np.median(values[drawn], axis=1)[:, None])


def hats(knots: np.ndarray, x: np.ndarray) -> np.ndarray:
    """[len(x), len(knots)]: share of each knot in a piecewise-linear value at `x`; constant outside the knots."""
    return np.stack([np.interp(x, knots, unit) for unit in np.eye(len(knots))], axis=1)


def rounded(value: float) -> float:
    """Six digits: more would be noise, and differ between machines."""
    return float(f"{value:.6g}")
