"""Decode attention that rotates queries and writes keys and values itself: as rotation and attention by themselves."""

import pytest
import torch

from pagedkv.model.kernels.decode import DecodeTuning, paged_decode
from pagedkv.model.kernels.early import AT_ONCE, NO
from pagedkv.model.kernels.even import EvenTuning, paged_decode_even
from pagedkv.model.kernels.fresh import Fresh
from pagedkv.model.kernels.rotary import write_kv_rope
from tests.model.kernels.cases import DEVICE, HALF, LAYER, TOLERANCE, Paged, error, normal, poisoned

CONTEXTS = [1, 16, 0, 17, 65, 200, 0]
SPLITS = DecodeTuning(tile=32, min_split=64, max_splits=16)
EVEN = EvenTuning(tile=32, least=1)


def check(heads: int, kv_heads: int, d: int, dtype: torch.dtype, norm: bool, parts: int, tuning, contexts) -> None:
    paged = Paged(contexts, kv_heads, d, dtype)
    n, columns = len(contexts), (heads + 2 * kv_heads) * d
    tables = paged.tables_of(range(n))
    context = torch.tensor(contexts, dtype=torch.int32, device=DEVICE)
    angles = torch.rand(max(contexts), d // 2, device=DEVICE) * 6
    cos_sin = torch.cat([angles.cos(), angles.sin()], dim=1)
    qkv = normal(parts, n, columns) if parts > 1 else normal(n, columns, dtype=dtype)
    norms = [normal(d, dtype=dtype, seed=seed) if norm else None for seed in (1, 2)]

    position = (context - 1).clamp(min=0)
    slots = tables.gather(1, position[:, None] // 16)[:, 0]
    slots[context == 0] = 0  # nobody's
    separate, at_once = paged.pool.clone(), paged.pool.clone()
    q = write_kv_rope(qkv, cos_sin, position, slots, position % 16, separate, LAYER, *norms, 1e-5)
    attend = paged_decode if isinstance(tuning, DecodeTuning) else paged_decode_even
    right = attend(q, separate, LAYER, tables, context, torch.empty_like(q), tuning)
    out = poisoned(*q.shape, dtype=dtype)
    assert attend(Fresh(qkv, cos_sin, *norms, 1e-5), at_once, LAYER, tables, context, out, tuning) is out

    assert error(out, right) < TOLERANCE[dtype]
    assert not out[context == 0].any()
    separate[0] = torch.nan
    assert torch.equal(at_once.isfinite(), separate.isfinite())
    assert error(at_once.nan_to_num(), separate.nan_to_num()) < TOLERANCE[dtype]


@pytest.mark.parametrize("tuning", [SPLITS, EVEN], ids=["splits", "even"])
@pytest.mark.parametrize("norm, parts, dtype", [(False, 1, HALF), (True, 3, HALF), (True, 1, torch.float32)])
@pytest.mark.parametrize("heads, kv_heads, d", [(4, 2, 16), (3, 1, 32)])
def test_as_rotation_and_attention_by_themselves(heads, kv_heads, d, norm, parts, dtype, tuning):
    check(heads, kv_heads, d, dtype, norm, parts, tuning, CONTEXTS)


@pytest.mark.gpu
@pytest.mark.parametrize("early", [NO, AT_ONCE])
@pytest.mark.parametrize("kind", [DecodeTuning, EvenTuning])
@pytest.mark.parametrize("heads, kv_heads, d, norm", [(32, 8, 128, False), (16, 8, 128, True), (32, 8, 64, False)])
def test_real_shapes(heads, kv_heads, d, norm, kind, early):
    check(heads, kv_heads, d, HALF, norm, 4, kind(early=early), [1, 255, 0, 256, 257, 2048, 5000])
