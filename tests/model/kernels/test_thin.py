"""Products of a few rows."""

import pytest
import torch

from pagedkv.model.kernels.thin import MOST_ROWS, ThinTuning, linear, linear_thin
from tests.model.kernels.cases import HALF, TOLERANCE, error, normal

TILES = ThinTuning(columns=32, depth=32, warps=4, stages=2)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("rows", [1, 2, 16, 17, 32])
@pytest.mark.parametrize("columns, k", [(70, 96), (32, 50), (5, 20)])
def test_the_product_is_that_of_float64_where_tiles_fit_and_where_not(rows, columns, k, dtype):
    x, weight = normal(rows, k, dtype=dtype), normal(columns, k, dtype=dtype, seed=1)
    assert error(linear_thin(x, weight, TILES), x.double() @ weight.double().T) < TOLERANCE[dtype]


def test_more_rows_than_fit_go_another_way():
    x, weight = normal(MOST_ROWS + 1, 64), normal(20, 64, seed=1)
    assert error(linear(x, weight), x.double() @ weight.double().T) < 1e-5


@pytest.mark.gpu
def test_real_shapes():
    weight = normal(6144, 4096, dtype=HALF, seed=1)
    x = normal(32, 4096, dtype=HALF)
    right = x.double() @ weight.double().T
    for rows in (1, 8, 16, 32):
        assert error(linear_thin(x[:rows], weight), right[:rows]) < TOLERANCE[HALF]
