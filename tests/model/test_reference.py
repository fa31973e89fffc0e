"""The operations in plain torch against direct computations in float64."""

import math

import pytest
import torch

from pagedkv.model import reference
from pagedkv.model.step import Rows

HEADS, KV_HEADS, HEAD_DIM, LAYERS = 6, 2, 16, 2
EPS = 1e-5


def random(*size: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def dense_attention(q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """One query [heads, d] against keys and values [tokens, kv_heads, d], head by head, in float64."""
    out = torch.empty(q.shape, dtype=torch.float64)
    for head, vector in enumerate(q.double()):
        shared = head // (HEADS // KV_HEADS)
        scores = keys[:, shared].double() @ vector / math.sqrt(HEAD_DIM)
        weights = (scores - scores.max()).exp()
        out[head] = weights / weights.sum() @ values[:, shared].double()
    return out


class Filled:
    """A pool of NaN in which two requests have contexts of 37 and 16 tokens, in layer 1, through scattered slots."""

    context = (37, 16)
    tables = ((5, 2, 8), (3,))

    def __init__(self, dtype: torch.dtype) -> None:
        self.pool = torch.full((10, LAYERS, KV_HEADS, 2, 16, HEAD_DIM), torch.nan, dtype=dtype)
        self.keys_values = []
        for request, (tokens, table) in enumerate(zip(self.context, self.tables, strict=True)):
            both = random(2, tokens, KV_HEADS, HEAD_DIM, seed=request, dtype=dtype) * 2
            for token in range(tokens):
                self.pool[table[token // 16], 1, :, :, token % 16] = both[:, token].transpose(0, 1)
            self.keys_values.append(both)

    def expected(self, q: torch.Tensor, scheduled: tuple[int, ...]) -> torch.Tensor:
        rows, queries = [], iter(q)
        for (keys, values), tokens, new in zip(self.keys_values, self.context, scheduled, strict=True):
            for end in range(tokens - new + 1, tokens + 1):
                rows.append(dense_attention(next(queries), keys[:end], values[:end]))
        return torch.stack(rows)


TOLERANCES = pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-6), (torch.bfloat16, 1e-2)])


@TOLERANCES
def test_decode_is_softmax_of_scaled_products(dtype, tolerance):
    filled = Filled(dtype)
    q = random(2, HEADS, HEAD_DIM, seed=9, dtype=dtype)
    rows = Rows.of((1, 1), filled.context, filled.tables)
    out = reference.paged_decode(q, filled.pool, 1, rows.tables, rows.context, torch.empty_like(q))
    torch.testing.assert_close(out.double(), filled.expected(q, (1, 1)), atol=tolerance, rtol=tolerance)


@TOLERANCES
@pytest.mark.parametrize("prefill", [reference.paged_prefill, reference.paged_prefill_by_token])
@pytest.mark.parametrize("scheduled", [(37, 16), (20, 1), (1, 7)])
def test_prefill_is_causal_at_any_cut(dtype, tolerance, prefill, scheduled):
    filled = Filled(dtype)
    q = random(sum(scheduled), HEADS, HEAD_DIM, seed=9, dtype=dtype)
    rows = Rows.of(scheduled, filled.context, filled.tables)
    out = prefill(q, filled.pool, 1, rows, torch.empty_like(q))
    torch.testing.assert_close(out.double(), filled.expected(q, scheduled), atol=tolerance, rtol=tolerance)


def test_a_padding_row_without_context_gets_zeros():
    pool = torch.full((2, 1, KV_HEADS, 2, 16, HEAD_DIM), torch.nan)
    q = random(1, HEADS, HEAD_DIM)
    tables, context = torch.zeros(1, 1, dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    assert (reference.paged_decode(q, pool, 0, tables, context, torch.empty_like(q)) == 0).all()


@pytest.mark.parametrize("normed", [True, False])
def test_keys_and_queries_are_turned_as_complex_numbers_and_land_in_their_places(normed):
    qkv = random(3, (HEADS + 2 * KV_HEADS) * HEAD_DIM)
    positions, slots, offsets = torch.tensor([[4, 0, 21], [2, 1, 2], [4, 0, 5]], dtype=torch.int32)
    angles = torch.outer(torch.arange(32.0), 100.0 ** (-torch.arange(8.0) / 8))
    table = torch.cat([angles.cos(), angles.sin()], dim=1)
    pool = torch.full((3, LAYERS, KV_HEADS, 2, 16, HEAD_DIM), torch.nan)
    q_norm, k_norm = (random(HEAD_DIM, seed=1), random(HEAD_DIM, seed=2)) if normed else (None, None)

    q = reference.write_kv_rope(qkv, table, positions, slots, offsets, pool, 1, q_norm, k_norm, EPS)

    def turned(vector, weight, position):
        if normed:
            vector = vector / (vector.square().mean() + EPS).sqrt() * weight
        number = torch.complex(vector[:8], vector[8:]) * torch.polar(torch.ones(8), angles[position])
        return torch.cat([number.real, number.imag])

    heads = qkv.view(3, HEADS + 2 * KV_HEADS, HEAD_DIM)
    for token in range(3):
        position, slot, offset = (int(of[token]) for of in (positions, slots, offsets))
        for head in range(HEADS):
            torch.testing.assert_close(q[token, head], turned(heads[token, head], q_norm, position))
        for head in range(KV_HEADS):
            written = pool[slot, 1, head, :, offset]
            torch.testing.assert_close(written[0], turned(heads[token, HEADS + head], k_norm, position))
            assert torch.equal(written[1], heads[token, HEADS + KV_HEADS + head])
    assert torch.isfinite(pool).sum() == 3 * KV_HEADS * 2 * HEAD_DIM, "nothing else is written"


def test_rms_norm_adds_the_residual_first():
    x, residual, weight = random(3, 8), random(3, 8, seed=1), random(8, seed=2)
    total = (x + residual).double()
    expected = total / (total.square().mean(-1, keepdim=True) + EPS).sqrt() * weight
    normed, new = reference.rms_norm(x, weight, EPS, residual)
    torch.testing.assert_close(normed.double(), expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(new, x + residual)
    assert torch.equal(reference.rms_norm(x, weight, EPS, None)[1], x)


def test_silu_of_the_first_half_times_the_second():
    gate_up = torch.tensor([[0.0, 1.0, -2.0, 5.0, 6.0, 7.0]])
    expected = torch.tensor([[0.0, 6.0 / (1 + math.exp(-1.0)), 7.0 * -2.0 / (1 + math.exp(2.0))]])
    torch.testing.assert_close(reference.silu_mul(gate_up), expected)


def test_a_row_of_an_invariant_product_does_not_depend_on_the_others():
    x, weight = random(33, 64), random(50, 64, seed=1)
    full = reference.linear_invariant(x, weight)
    torch.testing.assert_close(full, x @ weight.T)
    assert torch.equal(reference.linear_invariant(x[7:8], weight), full[7:8])
