"""A batch that goes on is the one that would be made anew, and its blocks come as if one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pagedkv.device.base import PlainStep
from pagedkv.engine import scheduler
from pagedkv.engine.batch import Batch
from pagedkv.engine.decode import Decode
from pagedkv.engine.kv import KvManager
from pagedkv.engine.ladder import Level
from pagedkv.engine.requests import Request
from pagedkv.eviction.registry import EVICTIONS
from tests.engine.build import record, serve, table
from tests.engine.strategies import engine_settings, request_tables
from tests.trace.toy import assert_equal

CLOSED_LOOP = sorted(name for name, policy in EVICTIONS.all().items() if policy.level <= Level.I4)


def agree(one: Batch, other: Batch) -> None:
    """Both say the same of a step, and so do their columns."""
    for name in ("computed", "tokens", "produces", "numbers", "ranks"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("decodes", "work", "blocks", "growing", "filling", "beginning", "lists"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.beginning == PlainStep(one.requests, one.ranks, one.computed, one.tokens, one.produces).beginning


@settings(max_examples=60)
@given(request_tables(most=6, output=60), engine_settings())
def test_a_batch_that_goes_on_is_the_one_that_would_be_made(requests, options):
    def compared(before, steps):
        batch = Decode(before, steps)
        batch.settle()
        agree(batch, Batch.within(list(batch.requests), 1 << 40))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "Decode", compared)
        serve(requests, settings=options, leaping=False).run()


def test_requests_are_told_how_far_they_are_when_somebody_asks():
    """Three steps of two decodes: the requests stand where they stood before the first one until `settle`."""
    requests = [Request(n, n, 0, 0.0, 20 + n, 9, np.zeros(0, np.int64)) for n in range(2)]
    batch = Batch.of(requests, [20, 21])
    batch.advance(1, 1.0, 1.0)
    for step in range(3):
        batch = Decode(batch)
        assert batch.advance(1, 2.0 + step, 2.0 + step) == ([1.0], 2)
        assert [(r.computed, r.produced, r.last_token_s) for r in requests] == [(20, 1, 1.0), (21, 1, 1.0)]
    batch.settle()
    assert [(r.computed, r.produced, r.last_token_s) for r in requests] == [(23, 4, 4.0), (24, 4, 4.0)]
    assert not batch.may_finish


@pytest.mark.parametrize("budget, tokens", [(5, [5]), (10, [10]), (25, [10, 15]), (30, [10, 20]), (99, [10, 20, 30])])
def test_a_budget_is_spent_in_order(budget, tokens):
    requests = [Request(n, n, 0, 0.0, 10 * (n + 1), 1, np.zeros(0, np.int64)) for n in range(3)]
    batch = Batch.within(requests, budget)
    assert batch.requests == requests[: len(tokens)]
    assert batch.tokens.tolist() == tokens
    assert batch.produces.tolist() == [count == r.prompt_tokens for count, r in zip(tokens, requests, strict=False)]


@pytest.mark.parametrize("eviction", CLOSED_LOOP)
def test_blocks_of_a_step_come_as_if_one_after_the_other(eviction, monkeypatch):
    """Eight requests that begin blocks in the same steps, in a pool full of what finished ones left behind."""
    rows = [{"prompt": 16 * (n % 5 + 1), "output": 40, "at": 0.01 * (n // 8), "ids": [n]} for n in range(40)]
    options = {"settings": {"pool_blocks": 60, "max_num_seqs": 8}, "eviction": eviction, "leaping": False}
    together, _ = record(table(rows), **options)
    monkeypatch.setattr(KvManager, "extend_together", lambda kv, growing: not growing)
    assert_equal(together, record(table(rows), **options)[0])
