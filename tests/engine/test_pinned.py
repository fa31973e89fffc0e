"""A pinned schedule is the recorded one: same batches, same tables, and who produces a token."""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.engine.pinned import PinnedSchedule
from pagedkv.geometry import BLOCK_TOKENS
from tests.engine.build import record, table

ROWS = [{"prompt": 20 + 7 * n, "output": 9 + n, "at": 0.002 * n} for n in range(6)]


@pytest.mark.parametrize(
    "settings",
    [
        {"max_num_seqs": 2, "quantum_steps": 3, "pool_blocks": 64},
        {"max_num_seqs": 4, "pool_blocks": 12},
        {"max_num_seqs": 4, "pool_blocks": 12, "preemption": "recompute", "host_blocks": 0},
        {"max_num_seqs": 4, "pool_blocks": 64, "max_num_batched_tokens": 16},
    ],
)
def test_batches_tables_and_produced_tokens_are_the_recorded_ones(settings):
    trace, loop = record(table(ROWS), settings=settings)
    schedule = PinnedSchedule(trace)
    produced = dict.fromkeys(range(len(ROWS)), 0)
    finished = []
    for step in range(len(trace.steps["step"])):
        pinned = schedule.at(step)
        assert len(pinned.requests) == trace.steps["running"][step]
        assert pinned.tokens.sum() == trace.steps["prefill_tokens"][step] + trace.steps["decode_tokens"][step]
        ends = pinned.computed + pinned.tokens
        for request, end, produces in zip(pinned.requests, ends, pinned.produces, strict=True):
            needed = -(-end // BLOCK_TOKENS)
            assert len(request.contents) >= needed
            assert (request.contents[:needed] >= 0).all()
            assert end <= request.known_tokens
            produced[request.number] += produces
        assert pinned.ranks.tolist() == sorted(pinned.ranks)
        schedule.book(pinned)
        finished += schedule.finished_after(step)
    assert produced == {n: row["output"] for n, row in enumerate(ROWS)}
    assert sorted(finished) == list(range(len(ROWS)))
    assert loop.served.output_tokens == sum(produced.values())
    assert len(np.unique(finished)) == len(finished)
