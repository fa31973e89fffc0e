"""Decode attention: right, nothing leaks from beyond a context, and a request's bits do not depend on its batch."""

import pytest
import torch

from pagedkv.model.kernels.decode import DecodeTuning, paged_decode
from tests.model.kernels.cases import DEVICE, HALF, LAYER, TOLERANCE, Paged, error, poisoned
from tests.model.kernels.decoding import CONTEXTS, attended, queries, right

SMALL = DecodeTuning(tile=32, min_split=64, max_splits=16)
"""So that the longest of the contexts has splits of two lengths, more of them than are joined at once."""


def decode(paged: Paged, requests, heads: int, dtype, tuning=SMALL, programs=None) -> torch.Tensor:
    return attended(paged_decode, paged, requests, heads, dtype, tuning, programs)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(4, 2, 16), (8, 2, 64), (3, 1, 32)])
def test_attention_is_that_of_float64_whatever_lies_beyond_the_contexts(heads, kv_heads, head_dim, dtype):
    paged = Paged(CONTEXTS, kv_heads, head_dim, dtype)
    requests = range(len(CONTEXTS))
    found = decode(paged, requests, heads, dtype)
    assert error(found, right(paged, requests, heads, dtype)) < TOLERANCE[dtype]


def test_large_scores_do_not_overflow():
    paged = Paged([100], 1, 16, torch.float32)
    paged.contents[0] *= 100
    paged.pool *= 100
    assert error(decode(paged, [0], 2, torch.float32), right(paged, [0], 2, torch.float32)) < 1e-5


def test_a_request_has_the_same_bits_in_any_batch():
    paged = Paged(CONTEXTS, 2, 16, HALF)
    together = decode(paged, range(len(CONTEXTS)), 4, HALF, programs=7)
    for request in range(len(CONTEXTS)):
        assert torch.equal(decode(paged, [request], 4, HALF)[0], together[request])
    backwards = [*reversed(range(len(CONTEXTS))), 2]
    assert torch.equal(decode(paged, backwards, 4, HALF), together[backwards])


def test_rows_without_context_get_zeros_between_others():
    paged = Paged([0, 33, 0, 0, 70, 0], 2, 16, torch.float32)
    found = decode(paged, range(6), 4, torch.float32)
    assert not found[[0, 2, 3, 5]].any()
    assert torch.equal(found[[1, 4]], decode(paged, [1, 4], 4, torch.float32))
    assert not decode(paged, [0, 2], 4, torch.float32).any()


@pytest.mark.gpu
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(32, 8, 128), (16, 8, 128), (32, 8, 64)])
def test_real_shapes_with_the_default_tuning(heads, kv_heads, head_dim):
    contexts = [1, 255, 256, 257, 2048, 5000]
    paged = Paged(contexts, kv_heads, head_dim, HALF)
    found = decode(paged, range(6), heads, HALF, DecodeTuning())
    assert error(found, right(paged, range(6), heads, HALF)) < TOLERANCE[HALF]
    alone = [decode(paged, [request], heads, HALF, DecodeTuning())[0] for request in range(6)]
    assert torch.equal(torch.stack(alone), found)


@pytest.mark.gpu
def test_a_captured_graph_serves_other_contexts_and_tables():
    paged = Paged([700, 90, 0, 1300], 8, 128, HALF)
    q = torch.stack([queries(request, 32, 128, HALF) for request in range(4)])
    context = torch.zeros(4, dtype=torch.int32, device=DEVICE)
    tables = torch.zeros_like(paged.tables_of(range(4)))
    out = poisoned(4, 32, 128, dtype=HALF)
    paged_decode(q, paged.pool, LAYER, tables, context, out)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        paged_decode(q, paged.pool, LAYER, tables, context, out)
    context.copy_(torch.tensor([700, 90, 0, 1300]))
    tables.copy_(paged.tables_of(range(4)))
    out.fill_(torch.nan)
    graph.replay()
    assert not out[2].any()
    assert torch.equal(out[[0, 1, 3]], decode(paged, [0, 1, 3], 32, HALF, DecodeTuning()))
