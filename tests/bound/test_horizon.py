"""k* by hand."""

import numpy as np
import pytest

from pagedkv.bound import k_star


def test_the_horizon_covers_the_largest_load():
    """30 blocks of 0.5 ms in steps of 4 ms: 15 / 4, rounded up."""
    assert k_star(np.array([3, 30, 12]), 0.5e-3, 4e-3) == 4
    assert k_star(np.array([32]), 0.5e-3, 4e-3) == 4
    assert k_star(np.array([33]), 0.5e-3, 4e-3) == 5


def test_without_loads_no_horizon_is_needed():
    assert k_star(np.array([], np.int64), 1.0, 1.0) == 0


def test_steps_without_time_are_refused():
    with pytest.raises(ValueError, match="takes 0.0 s"):
        k_star(np.array([1]), 1.0, 0.0)
