"""Decode attention in equal pieces: right for any contexts, deterministic, and nothing leaks from beyond a context."""

import pytest
import torch

from pagedkv.model.kernels.even import EvenTuning, paged_decode_even
from tests.model.kernels.cases import HALF, TOLERANCE, Paged, error
from tests.model.kernels.decoding import CONTEXTS, attended, right

SMALL = EvenTuning(tile=32, least=1)


def decode(paged: Paged, requests, heads: int, dtype, tuning=SMALL, programs=None) -> torch.Tensor:
    return attended(paged_decode_even, paged, requests, heads, dtype, tuning, programs)


@pytest.mark.parametrize("heads, kv_heads, head_dim, dtype", [(4, 2, 16, HALF), (3, 1, 32, torch.float32)])
@pytest.mark.parametrize("programs", [1, 26, 100])
def test_attention_is_that_of_float64_whatever_lies_beyond_the_contexts(heads, kv_heads, head_dim, dtype, programs):
    paged = Paged(CONTEXTS, kv_heads, head_dim, dtype)
    requests = range(len(CONTEXTS))
    for _ in range(2):  # the second launch finds the counters as the first left them
        found = decode(paged, requests, heads, dtype, programs=programs)
        assert error(found, right(paged, requests, heads, dtype)) < TOLERANCE[dtype]


@pytest.mark.parametrize("programs", [2, 14, 60])
def test_rows_without_context_get_zeros_between_others(programs):
    paged = Paged([0, 33, 0, 0, 70, 0], 2, 16, torch.float32)
    found = decode(paged, range(6), 4, torch.float32, programs=programs)
    assert not found[[0, 2, 3, 5]].any()
    assert error(found[[1, 4]], right(paged, [1, 4], 4, torch.float32)) < 1e-5
    assert not decode(paged, [0, 2], 4, torch.float32, programs=programs).any()


@pytest.mark.gpu
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(32, 8, 128), (16, 8, 128), (32, 8, 64)])
def test_real_shapes_with_the_default_tuning_have_the_same_bits_each_time(heads, kv_heads, head_dim):
    contexts = [1, 255, 0, 256, 257, 2048, 5000]
    paged = Paged(contexts, kv_heads, head_dim, HALF)
    found = decode(paged, range(7), heads, HALF, EvenTuning())
    real = [0, 1, 3, 4, 5, 6]
    assert error(found[real], right(paged, real, heads, HALF)) < TOLERANCE[HALF]
    assert not found[2].any()
    for _ in range(20):
        assert torch.equal(decode(paged, range(7), heads, HALF, EvenTuning()), found)
