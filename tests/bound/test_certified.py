"""What is reported of a linear program is proven, or nothing is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult

from pagedkv.bound import certified
from pagedkv.bound.certified import Program, Rows, least_cost


def _program() -> Program:
    """Minimise x + 2 y with x + y = 3, x <= 2 (as a row), 0 <= x, y <= 5: x = 2, y = 1, cost 4."""
    equal, below = Rows(), Rows()
    equal.add(np.array([0, 0]), np.array([0, 1]), 1.0)
    below.add(np.array([0]), np.array([0]), 1.0)
    cost, upper = np.array([1.0, 2.0]), np.array([5.0, 5.0])
    return Program(cost, equal.matrix(1, 2), np.array([3.0]), below.matrix(1, 2), np.array([2.0]), upper)


def test_the_optimum_is_found():
    assert least_cost(_program()) == pytest.approx(4.0)


def test_a_program_above_the_limit_is_not_solved():
    assert least_cost(_program(), largest=2) == pytest.approx(4.0)
    assert math.isnan(least_cost(_program(), largest=1))


def test_a_program_that_is_given_up_has_no_value(monkeypatch):
    monkeypatch.setattr(certified, "linprog", lambda *_, **__: OptimizeResult(status=1))
    assert math.isnan(least_cost(_program()))


@given(equal=st.floats(-10, 10), below=st.floats(-10, 10))
def test_whatever_the_solver_answers_the_value_is_not_above_the_optimum(equal, below):
    answer = OptimizeResult(
        status=0,
        fun=1e9,
        eqlin=OptimizeResult(marginals=np.array([equal])),
        ineqlin=OptimizeResult(marginals=np.array([below])),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certified, "linprog", lambda *_, **__: answer)
        assert least_cost(_program()) <= 4.0 + 1e-9
