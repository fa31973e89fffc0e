"""The first steps of a trace are a trace: nothing of what comes later, and it replays as the whole one does so far."""

import numpy as np
import pytest

from pagedkv.trace.cut import head
from pagedkv.trace.schema import TABLES
from tests.engine.build import record, replay, table
from tests.trace.toy import assert_equal, toy_trace


@pytest.fixture(scope="module")
def rotation():
    """Four requests of 4 to 6 blocks, two at a time, a quantum of 3 steps; they do not fit together."""
    rows = [{"prompt": 50 + 10 * i, "output": 12, "at": 0.0} for i in range(4)]
    options = {"pool_blocks": 14, "max_num_seqs": 2, "quantum_steps": 3, "max_num_batched_tokens": 256}
    trace, _ = record(table(rows), settings=options)
    return trace


def test_by_hand():
    """Steps 0..3 of five. Request 0 is prefilled at 0 and decodes for 4 steps from 1 on, of which 3 remain; request 1
    joins at 3 for 2 steps, of which 1 remains. The transfer was seen before step 3."""
    trace = head(toy_trace(), 4)
    assert trace.steps["step"].tolist() == [0, 1, 2, 3]
    assert trace.reads["step"].tolist() == [0, 1, 3]
    assert trace.reads["steps"].tolist() == [1, 3, 1]
    assert trace.tables["step"].tolist() == [0, 3]
    assert trace.requests["request"].tolist() == [0, 1]
    assert trace.header == toy_trace().header


def test_what_is_seen_at_the_cut_is_left_out():
    """The transfer was seen, and a block was mapped, at the boundary before step 3."""
    before, after = head(toy_trace(), 3), head(toy_trace(), 4)
    assert (len(before.transfers["job"]), len(after.transfers["job"])) == (0, 1)
    assert (len(before.tables["step"]), len(after.tables["step"])) == (1, 2)


@pytest.mark.parametrize("steps", [5, 6, 1000])
def test_a_cut_behind_the_end_changes_nothing(steps):
    assert_equal(head(toy_trace(), steps), toy_trace())


def test_nothing_reaches_behind_the_cut(rotation):
    for steps in range(1, len(rotation.steps["step"])):
        trace = head(rotation, steps)
        assert trace.steps["step"].tolist() == list(range(steps))
        assert (trace.reads["step"] + trace.reads["steps"]).max() == steps, "the last step reads something"
        assert all(getattr(trace, name)["step"].max(initial=0) < steps for name in ("tables", "events", "plans"))
        assert trace.transfers["seen_step"].max(initial=0) < steps


def test_a_cut_of_a_cut_is_the_shorter_cut(rotation):
    assert_equal(head(head(rotation, 20), 7), head(rotation, 7))


def test_the_trace_is_not_changed(rotation):
    before = {name: {c: v.copy() for c, v in getattr(rotation, name).items()} for name in TABLES}
    head(rotation, 3)
    for name, columns in before.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(getattr(rotation, name)[column], values)


@pytest.mark.parametrize("policy", ["none", "next_n"])
def test_the_beginning_replays_as_in_the_whole(rotation, policy):
    """Neither demand only nor next-N looks ahead, so that what comes later cannot matter."""
    whole = replay(rotation, policy, pool=13)
    whole.run()
    assert (whole.stalls > 0).sum() > 2, "blocks are loaded, or the test shows nothing"
    for steps in (1, 2, 5, 9, 14, len(whole.stalls)):
        part = replay(head(rotation, steps), policy, pool=13)
        part.run()
        assert part.stalls.tolist() == whole.stalls[:steps].tolist()
