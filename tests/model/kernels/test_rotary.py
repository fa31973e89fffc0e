"""Rotation of queries and keys, and what is written into the pool."""

import pytest
import torch

from pagedkv.model import reference
from pagedkv.model.kernels.rotary import write_kv_rope
from tests.model.kernels.cases import DEVICE, HALF, LAYER, TOLERANCE, error, normal, poisoned

TOKENS = 5


def check(heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype, norm: bool) -> None:
    qkv = normal(TOKENS, (heads + 2 * kv_heads) * head_dim, dtype=dtype)
    angles = torch.rand(50, head_dim // 2, device=DEVICE) * 6
    cos_sin = torch.cat([angles.cos(), angles.sin()], dim=1)
    places = [
        torch.tensor(v, dtype=torch.int32, device=DEVICE) for v in ([0, 49, 3, 7, 8], [2, 5, 1, 1, 5], [0, 15, 3, 7, 8])
    ]
    norms = [normal(head_dim, dtype=dtype, seed=seed) if norm else None for seed in (1, 2)]
    pool = poisoned(6, 3, kv_heads, 2, 16, head_dim, dtype=dtype)
    q = write_kv_rope(qkv, cos_sin, *places, pool, LAYER, *norms, 1e-5)

    right_pool = poisoned(*pool.shape, dtype=torch.float64)
    right_norms = [weight if weight is None else weight.double() for weight in norms]
    right = reference.write_kv_rope(qkv.double(), cos_sin, *places, right_pool, LAYER, *right_norms, 1e-5)
    assert error(q, right) < TOLERANCE[dtype]
    written = right_pool.isfinite()
    assert torch.equal(pool.isfinite(), written)
    assert error(pool[written], right_pool[written]) < TOLERANCE[dtype]
    values = qkv.unflatten(1, (-1, head_dim))[:, heads + kv_heads :]
    assert torch.equal(pool[places[1].long(), LAYER, :, 1, places[2].long()], values)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(4, 2, 16), (16, 8, 32), (3, 1, 64)])
def test_heads_are_rotated_and_written_to_their_places_only(heads, kv_heads, head_dim, norm, dtype):
    check(heads, kv_heads, head_dim, dtype, norm)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "heads, kv_heads, head_dim, norm", [(32, 8, 128, False), (16, 8, 128, True), (32, 8, 64, False)]
)
def test_real_shapes(heads, kv_heads, head_dim, norm):
    check(heads, kv_heads, head_dim, HALF, norm)


def test_a_block_far_into_a_large_pool_is_written():
    """Its first element lies beyond the reach of 32 bits; memory that nobody writes costs nothing."""
    pool = torch.empty((2**31 // (3 * 2 * 16 * 16) + 2, 3, 1, 2, 16, 16), dtype=HALF, device=DEVICE)
    last = len(pool) - 1
    one = torch.zeros(1, dtype=torch.int32, device=DEVICE)
    qkv = normal(1, 3 * 16, dtype=HALF)
    cos_sin = torch.cat([torch.ones(1, 8), torch.zeros(1, 8)], dim=1).to(DEVICE)
    write_kv_rope(qkv, cos_sin, one, one + last, one, pool, LAYER, None, None, 1e-5)
    assert torch.equal(pool[last, LAYER, 0, :, 0].flatten(), qkv[0, 16:])
