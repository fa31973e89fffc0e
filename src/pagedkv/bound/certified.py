"""Linear programs whose reported value cannot be above the optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

LARGEST = 250_000
"""Variables of a program that is solved at all, by default; an hour of a public trace has less than 100,000."""

ITERATIONS = 20_000_000
"""After so many iterations a solution is given up: a limit that, unlike time, stops equal runs at the same point."""


class Rows:
    """Rows of a sparse matrix, built entry by entry in arrays: `add(row, column, value)` adds value, broadcast."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, row: np.ndarray, column: np.ndarray, value: float | np.ndarray) -> None:
        self._parts.append((row, column, np.broadcast_to(np.asarray(value, float), row.shape)))

    def matrix(self, rows: int, columns: int) -> sparse.csr_matrix:
        row, column, value = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return sparse.csr_matrix((value, (row, column)), (rows, columns))


@dataclass(frozen=True)
class Program:
    """Minimise cost · x with equal · x = at, below · x <= most, 0 <= x <= upper (finite)."""

    cost: np.ndarray
    equal: sparse.csr_matrix
    at: np.ndarray
    below: sparse.csr_matrix
    most: np.ndarray
    upper: np.ndarray


def least_cost(program: Program, largest: int = LARGEST) -> float:
    """A lower bound on the program's optimum, by HiGHS; NaN if it has more than `largest` variables, or is given up.

    What is returned is not the solver's optimum, which holds within its tolerances, but what its dual solution proves:
    for any multipliers u and v <= 0, no x within its limits costs less than u · at + v · most + the least of
    (cost - u equal - v below) · x. The two agree to about 1e-6 where the solver is done.
    """
    if len(program.cost) > largest:
        return math.nan
    limits = np.column_stack([np.zeros_like(program.upper), program.upper])
    result = linprog(
        program.cost,
        A_ub=program.below,
        b_ub=program.most,
        A_eq=program.equal,
        b_eq=program.at,
        bounds=limits,
        method="highs",
        options={"maxiter": ITERATIONS},
    )
    if result.status != 0:
        return math.nan
    equal, below = result.eqlin.marginals, np.minimum(result.ineqlin.marginals, 0.0)
    reduced = program.cost - program.equal.T @ equal - program.below.T @ below
    return float(equal @ program.at + below @ program.most + np.minimum(reduced * program.upper, 0.0).sum())
