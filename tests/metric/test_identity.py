"""Token identity under every policy, and that a fault in the movement of blocks is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pagedkv.device.copies import CopyStream
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.geometry import geometry
from pagedkv.metric import identity
from pagedkv.metric.cases import Case
from pagedkv.metric.identity import Bench, Trial, identity_rows, pinned_rows
from pagedkv.prefetch.registry import PREFETCHERS
from tests.device.where import WHERE
from tests.engine.build import TINY, calibration

SMALL = Trial(decodes=5, sessions=2, batch=3, quantum=4, context=100, output=12)


@pytest.fixture
def few_cases(monkeypatch):
    both = [Case("none"), replace(identity.PLAN, eviction="plan_aware")]
    monkeypatch.setattr(identity, "closed_cases", lambda: both)
    monkeypatch.setattr(identity, "oracle_cases", lambda: [Case("clairvoyant", eviction="min")])


def test_every_request_gets_the_same_tokens_and_every_block_comes_back(few_cases):
    rows = identity_rows(Bench.of("cpu", TINY, calibration(), SMALL))
    judged = [row for row in rows if row["mode"] != "cost"]
    assert {row["mode"] for row in judged} == {"pinned", "free"}
    for row in judged:
        assert row["identical"] == row["requests"] == 9
        assert row["wrong_blocks"] == 0
        assert row["logits_identical"] or row["mode"] == "free"
    pressed = [row for row in judged if "without offload" not in row["case"]]
    assert len(pressed) == len(judged) - 2, "each mode has its own run to compare with"
    assert min(row["verified_blocks"] for row in pressed) > 0
    assert [row["case"] for row in rows if row["mode"] == "cost"] == ["batch-invariant kernels", "tuned kernels"]


@pytest.mark.parametrize("fault", ["wrong bytes", "wrong slot"])
def test_a_block_that_comes_back_otherwise_is_noticed(monkeypatch, fault):
    right = CopyStream.submit

    def wrong(self, gpu, host, after=(), timed=True):
        if self.direction == "h2d" and fault == "wrong slot" and len(gpu) > 1:
            gpu = np.roll(gpu, 1)
        copy = right(self, gpu, host, after, timed)
        if self.direction == "h2d" and fault == "wrong bytes":
            self._pools[0][torch.from_numpy(gpu[:1])] *= 2
        return copy

    monkeypatch.setattr(CopyStream, "submit", wrong)
    monkeypatch.setattr(identity, "closed_cases", lambda: [Case("none")])
    monkeypatch.setattr(identity, "oracle_cases", list)
    rows = pinned_rows(Bench.of("cpu", TINY, calibration(), SMALL))
    assert sum(row["wrong_blocks"] for row in rows) > 0
    assert any(row["identical"] < row["requests"] for row in rows)


def test_every_policy_has_its_run_or_a_reason():
    run = {case.prefetch for case in [*identity.closed_cases(), *identity.oracle_cases()]}
    for name, policy in PREFETCHERS.all().items():
        elsewhere = policy.demand == "D-layer" or policy.stop is not None
        assert (name in run) != (elsewhere or name in identity.LEFT_OUT), name
    assert {case.eviction for case in [*identity.closed_cases(), *identity.oracle_cases()]} == set(EVICTIONS.all())


@pytest.mark.long
@pytest.mark.parametrize("where", WHERE)
def test_identity_under_every_policy(where):
    shape = geometry("tiny" if where == "cpu" else "qwen3-0.6b")
    trial = SMALL if where == "cpu" else Trial()
    rows = identity_rows(Bench.of(where, shape, calibration(), trial))
    judged = [row for row in rows if row["mode"] != "cost"]
    assert len(judged) > 60
    for row in judged:
        assert row["identical"] == row["requests"], row["case"]
        assert row["wrong_blocks"] == 0, row["case"]
        assert row["logits_identical"] or row["mode"] == "free", row["case"]
