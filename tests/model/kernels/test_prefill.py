"""Causal attention: right, nothing leaks, and a row's bits depend neither on its batch nor on the cut of a prompt."""

import pytest
import torch

from pagedkv.model.kernels.prefill import PrefillTuning, paged_prefill
from pagedkv.model.step import Rows
from tests.model.kernels.cases import DEVICE, HALF, LAYER, TOLERANCE, Paged, error, normal, poisoned

SMALL = PrefillTuning(rows=32, tile=32)


def prefill(paged: Paged, chunks, heads: int, dtype, tuning=SMALL) -> list[torch.Tensor]:
    """What one step gives for each of `chunks`: (request, first position, end)."""
    rows = Rows.of(
        [end - first for _, first, end in chunks],
        [end for _, _, end in chunks],
        paged.tables_of([request for request, _, _ in chunks]).tolist(),
        DEVICE,
    )
    q = torch.cat([queries(paged, request, heads, dtype)[first:end] for request, first, end in chunks])
    out = poisoned(*q.shape, dtype=dtype)
    assert paged_prefill(q, paged.pool, LAYER, rows, out, tuning) is out
    return list(out.split([end - first for _, first, end in chunks]))


def queries(paged: Paged, request: int, heads: int, dtype) -> torch.Tensor:
    return normal(paged.contents[request].shape[1], heads, paged.pool.shape[5], dtype=dtype, seed=100 + request)


def check(paged: Paged, chunks, heads: int, dtype, tuning=SMALL) -> None:
    for (request, first, end), found in zip(chunks, prefill(paged, chunks, heads, dtype, tuning), strict=True):
        q = queries(paged, request, heads, dtype)[first:end]
        assert error(found, paged.attention(request, q, range(first, end))) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(4, 2, 16), (8, 2, 64), (3, 1, 32)])
def test_attention_is_that_of_float64_whatever_lies_beyond_the_contexts(heads, kv_heads, head_dim, dtype):
    paged = Paged([40, 1, 90, 33], kv_heads, head_dim, dtype)
    check(paged, [(0, 0, 40), (1, 0, 1), (2, 49, 90), (3, 32, 33)], heads, dtype)


def test_a_row_has_the_same_bits_however_its_prompt_is_cut_and_whoever_runs_beside_it():
    paged = Paged([150, 70], 2, 16, HALF)
    [whole] = prefill(paged, [(0, 0, 150)], 4, HALF)
    for cuts in ([0, 16, 150], [0, 1, 2, 40, 41, 100, 149, 150]):
        for first, end in zip(cuts, cuts[1:], strict=False):
            found = prefill(paged, [(1, 3, 70), (0, first, end), (1, 69, 70)], 4, HALF)[1]
            assert torch.equal(found, whole[first:end])


def test_a_padding_row_without_context_gets_zeros():
    paged = Paged([20, 0], 2, 16, torch.float32)
    rows = Rows.of([20, 1], [20, 1], paged.tables_of([0, 1]).tolist(), DEVICE)
    rows.context[1] = 0
    q = normal(21, 4, 16)
    out = paged_prefill(q, paged.pool, LAYER, rows, poisoned(21, 4, 16, dtype=torch.float32), SMALL)
    assert not out[20].any()
    assert error(out[:20], paged.attention(0, q[:20], range(20))) < 1e-5


@pytest.mark.gpu
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(32, 8, 128), (16, 8, 128), (32, 8, 64)])
def test_real_shapes_with_the_default_tuning(heads, kv_heads, head_dim):
    paged = Paged([700, 130, 900], kv_heads, head_dim, HALF)
    check(paged, [(0, 0, 700), (1, 129, 130), (2, 333, 900)], heads, HALF, PrefillTuning())


@pytest.mark.gpu
def test_real_shapes_cut_in_any_way_have_the_same_bits():
    paged = Paged([900, 300], 8, 128, HALF)
    [whole] = prefill(paged, [(0, 0, 900)], 32, HALF, PrefillTuning())
    for cuts in ([0, 512, 900], [0, 1, 130, 131, 777, 899, 900]):
        for first, end in zip(cuts, cuts[1:], strict=False):
            found = prefill(paged, [(1, 0, 300), (0, first, end)], 32, HALF, PrefillTuning())[1]
            assert torch.equal(found, whole[first:end])
