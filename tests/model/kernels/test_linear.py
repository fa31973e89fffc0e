"""The matrix product in a fixed order."""

import pytest
import torch

from pagedkv.model.kernels.linear import LinearTuning, linear_invariant
from tests.model.kernels.cases import HALF, TOLERANCE, error, normal

TILES = LinearTuning(rows=16, columns=32, depth=32, warps=4, stages=2)
TALLER_THAN_A_GROUP = 150


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("rows", [1, 17, TALLER_THAN_A_GROUP])
@pytest.mark.parametrize("columns, k", [(70, 96), (32, 50)])
def test_the_product_is_that_of_float64_where_tiles_fit_and_where_not(rows, columns, k, dtype):
    x, weight = normal(rows, k, dtype=dtype), normal(columns, k, dtype=dtype, seed=1)
    right = x.double() @ weight.double().T
    assert error(linear_invariant(x, weight, TILES), right) < TOLERANCE[dtype]


def test_a_row_has_the_same_bits_in_any_batch():
    x, weight = normal(70, 96, dtype=HALF), normal(48, 96, dtype=HALF, seed=1)
    together = linear_invariant(x, weight)
    for first, end in [(0, 1), (33, 34), (5, 69)]:
        assert torch.equal(linear_invariant(x[first:end], weight), together[first:end])


@pytest.mark.gpu
def test_real_shapes():
    weight = normal(6144, 4096, dtype=HALF, seed=1)
    x = normal(600, 4096, dtype=HALF)
    right = x.double() @ weight.double().T
    together = linear_invariant(x, weight)
    assert error(together, right) < TOLERANCE[HALF]
    for rows in (1, 8, 64):
        assert torch.equal(linear_invariant(x[:rows], weight), together[:rows])
