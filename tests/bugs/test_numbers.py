"""Bug classes 12, 13, 21 and 24: what is computed is finite, in bounds, and the same in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pagedkv.device.machine import Machine
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS, GEOMETRIES
from pagedkv.metric.cases import Case
from pagedkv.model.decoder import empty_pool
from tests.bugs.runs import ROTATION, SETTINGS, alone, loop_on, private, run
from tests.device.where import WHERE
from tests.engine.build import TINY, table

LOOK_AHEAD = Case("la_k", {"k": 8, "plan": "stay"})


# ------------------------------------------------------------ 12: stale NaN
def test_class_12_no_nan_of_a_free_slot_reaches_an_output(anywhere):
    """Every slot is NaN when a request gets it, beyond its last token as well, and again whenever it leaves."""
    requests = private(5)
    got = run(anywhere, requests, LOOK_AHEAD, **ROTATION)
    assert all(np.isfinite(said.logits).all() for said in got.produced.values())
    assert got.loaded_blocks > 100
    assert got.wrong_blocks == 0


def test_class_12_reading_a_free_slot_shows(anywhere):
    """The control: the first block of a running request is given up after its tenth step."""

    def give_up(loop):
        if loop.step == 10:
            victim = loop.scheduler.running[0]
            loop.device.vacated(loop.memory.tiers.states.slot[victim.contents[:1]])

    got = run(anywhere, private(2), pool_blocks=40, on_step=give_up)
    assert np.isnan(got.produced[0].logits).any()
    assert np.isfinite(got.produced[1].logits).all()


# ------------------------------------------------------------ 13: capacity and geometry
@pytest.mark.parametrize("name", GEOMETRIES)
def test_class_13_one_size_of_a_block_everywhere(name):
    """What the engine, the links and the calibration count as a block is what the pool holds: layers counted once."""
    shape = GEOMETRIES[name]
    pool = empty_pool(shape, 3, "meta", torch.bfloat16)
    assert pool[0].nbytes == shape.block_bytes == BLOCK_TOKENS * shape.token_bytes == shape.layers * shape.piece_bytes
    assert pool.shape[1] == shape.layers


@pytest.mark.parametrize("where", WHERE)
def test_class_13_pools_of_a_machine_have_the_blocks_that_were_asked_for(where):
    with Machine(TINY, replace(SETTINGS, where=where, pool_blocks=7, host_blocks=5)) as machine:
        assert len(machine.pool) == 7
        assert machine.host.tensor.shape[1] == machine.pool[0].nbytes
        assert machine.host.blocks >= 5
        assert machine.host.tensor.shape[0] == machine.host.blocks


@pytest.mark.parametrize(
    "settings, requests, message",
    [
        ({"pool_blocks": 129}, private(1), "129 pool_blocks of a machine that has 128"),
        ({"max_num_batched_tokens": 65}, private(1, prompt=65), "65 tokens is larger than the runner"),
        ({"max_num_seqs": 9}, table([{"prompt": 2, "output": 2}] * 9), "a step of 9 requests"),
        (
            {"pool_blocks": 64},
            private(1, prompt=395, output=30),
            "a request has 401 tokens, the runner has room for 400",
        ),
    ],
)
def test_class_13_an_engine_that_is_larger_than_its_machine_is_refused(late, settings, requests, message):
    """On a GPU the kernels would write past the end of a buffer and say nothing."""
    with pytest.raises(PagedKVError, match=message):
        loop_on(late, requests, **settings).run()
    late.world.forget()


# ------------------------------------------------------------ 21: exact multiples
@pytest.mark.parametrize("prompt, hit", [(47, 32), (48, 32), (49, 48), (64, 48), (16, 0), (1, 0)])
def test_class_21_a_prompt_of_exactly_k_blocks(late, prompt, hit):
    """It hits k-1 of them: one token at least is computed, and the answer is that without hits."""
    rows = [{"prompt": 64, "output": 3, "ids": [0, 1, 2, 3]}]
    follow = {"prompt": prompt, "output": 18, "ids": [0, 1, 2, 3][: -(-prompt // 16)]}
    rows.append({**follow, "session": 0, "turn": 1, "pause": 0.0})
    requests = table(rows)
    late.world.set_moods()
    got = run(late, requests)
    assert got.loop.served.hit_tokens == hit
    assert len(got.produced[1].tokens) == 18
    assert got.same_as(alone(late, requests))


# ------------------------------------------------------------ 24: nondeterminism or corruption
@pytest.fixture(scope="module")
def by_itself(anywhere):
    requests = private(5)
    return requests, alone(anywhere, requests)


@pytest.mark.parametrize("batch, tokens", [(3, 64), (5, 64), (5, 8)])
def test_class_24_no_bit_depends_on_the_company(anywhere, by_itself, batch, tokens):
    """Batch-invariant: other batches, other chunks, other slots, the same logits. So what differs is corruption."""
    requests, reference = by_itself
    got = run(anywhere, requests, pool_blocks=60, max_num_seqs=batch, max_num_batched_tokens=tokens)
    assert got.same_as(reference)
