"""SwiGLU's activation."""

import pytest
import torch
from torch.nn import functional

from pagedkv.model.kernels.activation import silu_mul
from tests.model.kernels.cases import HALF, TOLERANCE, error, normal


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("tokens, columns", [(1, 128), (3, 1500)])
def test_gates_come_before_ups(tokens, columns, dtype):
    gate_up = normal(tokens, 2 * columns, dtype=dtype) * 4
    gate, up = gate_up.double().chunk(2, dim=1)
    assert error(silu_mul(gate_up), functional.silu(gate) * up) < TOLERANCE[dtype]


@pytest.mark.filterwarnings("ignore:overflow")  # exp(300) is infinite, as is meant
def test_a_gate_far_below_zero_closes():
    gate_up = torch.full_like(normal(1, 64), 3.0)
    gate_up[:, :32] = -300.0
    assert not silu_mul(gate_up).any()


@pytest.mark.gpu
def test_real_shape():
    gate_up = normal(70, 2 * 14336, dtype=HALF)
    gate, up = gate_up.double().chunk(2, dim=1)
    assert error(silu_mul(gate_up), functional.silu(gate) * up) < TOLERANCE[HALF]
