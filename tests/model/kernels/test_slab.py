"""Products of up to 64 rows that come in parts, and the kernels that add the parts up."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pagedkv.model.kernels.early import AT_END, AT_ONCE, NO
from pagedkv.model.kernels.norm import rms_norm
from pagedkv.model.kernels.rotary import write_kv_rope
from pagedkv.model.kernels.slab import SlabTuning, linear_slab
from tests.model.kernels.cases import DEVICE, HALF, TOLERANCE, error, normal, poisoned

TILES = SlabTuning(columns=32, depth=32, parts=3, warps=4, stages=2)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("rows", [1, 16, 17, 33, 64])
@pytest.mark.parametrize("columns, k", [(64, 96), (70, 200), (5, 24)])
@pytest.mark.parametrize("descriptors", [False, True])
def test_the_parts_add_up_to_the_product_of_float64(rows, columns, k, dtype, descriptors):
    x, weight = normal(rows, k, dtype=dtype), normal(columns, k, dtype=dtype, seed=1)
    right = x.double() @ weight.double().T
    parts = linear_slab(x, weight, replace(TILES, descriptors=descriptors))
    assert parts.shape == ((rows, columns) if k <= 32 else (3, rows, columns))
    assert error(parts.double().sum(0) if k > 32 else parts, right) < TOLERANCE[dtype]
    whole = linear_slab(x, weight, replace(TILES, parts=1, descriptors=descriptors))
    assert whole.dtype == dtype
    assert error(whole, right) < TOLERANCE[dtype]


@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("wide", [32, 24])  # 24 of 32 columns of a tile
@pytest.mark.parametrize("rows, columns, k", [(1, 64, 96), (40, 48, 40)])
def test_gates_come_before_ups(rows, columns, k, wide, descriptors):
    x, weight = normal(rows, k, dtype=HALF), normal(2 * columns, k, dtype=HALF, seed=1)
    gate, up = (x.double() @ weight.double().T).chunk(2, dim=1)
    found = linear_slab(x, weight, replace(TILES, columns=wide, parts=1, descriptors=descriptors), gated=True)
    assert error(found, functional.silu(gate) * up) < TOLERANCE[HALF]


def test_norm_and_rotation_add_parts_up():
    parts = normal(3, 5, 64)
    residual, weight = normal(5, 64, dtype=HALF, seed=1), normal(64, dtype=HALF, seed=2)
    found = rms_norm(parts, weight, 1e-5, residual)
    assert torch.equal(found[1], (parts[0] + parts[1] + parts[2] + residual.float()).to(HALF))
    assert torch.equal(found[0], rms_norm(found[1], weight, 1e-5, None)[0])

    cos_sin, place = normal(5, 16), torch.arange(5, dtype=torch.int32, device=DEVICE)
    results = []
    for qkv in (parts, parts[0] + parts[1] + parts[2]):
        pool = poisoned(5, 2, 1, 2, 16, 16, dtype=HALF)
        results.append((write_kv_rope(qkv, cos_sin, place, place, place, pool, 1, None, None, 1e-5), pool))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1].nan_to_num(), results[1][1].nan_to_num())


@pytest.mark.gpu
@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("early", [NO, AT_ONCE, AT_END])
def test_real_shapes(early, descriptors):
    weight = normal(6144, 4096, dtype=HALF, seed=1)
    x = normal(64, 4096, dtype=HALF)
    right = x.double() @ weight.double().T
    for columns, parts in ((128, 4), (96, 2)):
        tuning = SlabTuning(columns, 64, parts, 4, 3, descriptors, early, ahead=256)
        for rows in (1, 16, 32, 64):
            found = linear_slab(x[:rows], weight, tuning)
            assert error(found.sum(0), right[:rows]) < TOLERANCE[HALF]
            assert torch.equal(found, linear_slab(x[:rows], weight, tuning))
