"""RMSNorm with and without the addition before it."""

import pytest
import torch

from pagedkv.model import reference
from pagedkv.model.kernels.norm import rms_norm
from tests.model.kernels.cases import HALF, TOLERANCE, error, normal

DTYPES = [torch.float32, HALF]


def check(tokens: int, hidden: int, dtype: torch.dtype) -> None:
    x, residual = normal(tokens, hidden, dtype=dtype), normal(tokens, hidden, dtype=dtype, seed=1)
    weight = normal(hidden, dtype=dtype, seed=2)
    normed, total = rms_norm(x, weight, 1e-5, residual)
    assert torch.equal(total, x + residual)
    right, _ = reference.rms_norm(total.double(), weight.double(), 1e-5, None)
    assert error(normed, right) < TOLERANCE[dtype]
    alone, unchanged = rms_norm(total, weight, 1e-5, None)
    assert torch.equal(alone, normed)
    assert unchanged is total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens, hidden", [(1, 64), (5, 96), (3, 2048)])
def test_the_sum_and_its_norm_are_those_of_the_reference(tokens, hidden, dtype):
    check(tokens, hidden, dtype)


@pytest.mark.gpu
def test_real_shapes():
    for hidden in (1024, 2048, 4096):
        check(300, hidden, HALF)


def test_a_row_of_zeros_is_zeros():
    x = torch.zeros_like(normal(2, 64))
    normed, _ = rms_norm(x, normal(64), 1e-5, None)
    assert not normed.any()
