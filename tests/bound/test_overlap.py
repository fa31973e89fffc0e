"""B5 by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.bound import overlap_stall_s


def test_what_compute_cannot_hide_remains():
    """5 loads of 2 s in 7 s of compute: 3 s. In 12 s: none."""
    assert overlap_stall_s(5, 2.0, 7.0) == pytest.approx(3.0)
    assert overlap_stall_s(5, 2.0, 12.0) == 0.0


@given(loads=st.integers(0, 1000), tau=st.floats(0, 10), compute=st.floats(0, 1000))
def test_overlap_gains_a_factor_of_two_at_most(loads, tau, compute):
    demand = compute + loads * tau
    assert demand <= 2 * (compute + overlap_stall_s(loads, tau, compute)) * (1 + 1e-12)
