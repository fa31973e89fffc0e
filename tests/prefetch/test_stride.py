"""Reference prediction table against sequences worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.stride import INITIAL, NO_PREDICTION, SETTLED, STEADY, TRANSIENT, Stride, _Entry
from tests.prefetch.views import access, blocks, read, seen


def test_two_equal_strides_make_it_steady():
    """0: new entry. 3: wrong (stride 0), stride 3, transient. 6: right, steady."""
    policy = Stride()
    assert [access(policy, index) for index in (0, 3, 6, 9)] == [[], [], [9, 12, 15, 18], [12, 15, 18, 21]]


def test_every_transition():
    """(address, state and stride behind it) from 10, initial and stride 0."""
    entry = _Entry(10)
    for index, state, stride in [
        (12, TRANSIENT, 2),  # initial, wrong
        (15, NO_PREDICTION, 3),  # transient, wrong
        (20, NO_PREDICTION, 5),  # no prediction, wrong
        (25, TRANSIENT, 5),  # no prediction, right
        (30, STEADY, 5),  # transient, right
        (35, STEADY, 5),  # steady, right
        (36, INITIAL, 5),  # steady, wrong: the stride stays
        (41, STEADY, 5),  # initial, right
        (42, INITIAL, 5),
        (43, TRANSIENT, 1),
        (44, STEADY, 1),
    ]:
        entry.access(index)
        assert (entry.last, entry.state, entry.stride) == (index, state, stride)


def test_one_jump_costs_one_prediction():
    """0 1 2 steady. 50: initial, stride 1 kept. 51: right, steady again."""
    policy = Stride(degree=2)
    assert [access(policy, index) for index in (0, 1, 2, 50, 51)] == [[], [], [3, 4], [], [52, 53]]


def test_backwards_and_not_before_block_zero():
    policy = Stride(degree=3)
    assert [access(policy, index) for index in (9, 6, 3)] == [[], [], [0]]


def test_the_same_block_again_leads_nowhere():
    policy = Stride()
    assert [access(policy, 5) for _ in range(4)] == [[]] * 4


def test_first_uses_train_as_faults_do():
    policy = Stride(degree=1)
    assert access(policy, 0) == access(policy, 1, "use") == []
    assert access(policy, 2, "late") == [3]


INTERLEAVED = [(stream, base + i, "fault") for i in range(3) for stream, base in ((1, 0), (2, 100))]


def test_an_entry_for_each_stream_or_one_for_all():
    """Apart each is sequential. Together the strides are 100 -99 100 -99 100: never twice the same."""
    assert blocks(Stride(degree=1).propose(seen(*INTERLEAVED))) == [(1, 3), (2, 103)]
    assert blocks(Stride(degree=1, per_stream=False).propose(seen(*INTERLEAVED))) == []


def test_the_least_recently_used_entry_makes_room():
    """A table of 2. Streams 1 2 1 3: 2 leaves. Stream 1 is steady at its third access; stream 2 starts anew."""
    policy = Stride(degree=1, table=2)
    accesses = [(1, 0, "fault"), (2, 0, "fault"), (1, 1, "fault"), (3, 0, "fault"), (1, 2, "fault"), (2, 1, "fault")]
    assert blocks(policy.propose(seen(*accesses))) == [(1, 3)]
    assert blocks(policy.propose(seen((2, 2, "fault"), (2, 3, "fault")))) == [(2, 4)]


def test_all_accesses_are_trained_on_as_runs():
    """Blocks 0..2 are read, hits included: steady at block 2. Next step 0..3: 0 is a jump back, 1 is right."""
    policy = Stride(degree=2, observe="all")
    assert policy.propose(read((7, 0, 3))) == [Fetch(7, 3, 2)]
    assert policy.propose(read((7, 0, 4))) == [Fetch(7, 4, 2)]
    assert policy.propose(read((7, 0, 1))) == []


def test_all_accesses_are_followed_only_as_far_as_they_were_made():
    """D-page: block 3 of a run of 8 faults."""
    policy = Stride(degree=2, observe="all")
    assert policy.propose(read((7, 0, 8), upto=(7, 3))) == [Fetch(7, 4, 2)]
    assert policy.propose(read((7, 0, 8), upto=(7, 4))) == [Fetch(7, 5, 2)]
    assert policy.propose(read((7, 0, 8))) == [Fetch(7, 8, 2)]


def test_all_accesses_are_of_a_higher_level():
    assert (Stride().level, Stride(observe="all").level, Stride.level) == (Level.I0, Level.I2, Level.I0)


@given(st.sampled_from([INITIAL, TRANSIENT, STEADY, NO_PREDICTION]), st.integers(-3, 3), st.integers(-9, 9))
def test_a_long_run_settles_an_entry(state, stride, start):
    """Whatever was before: so a run need not be trained on block by block."""
    entry = _Entry(0, stride, state)
    for index in range(start, start + SETTLED):
        entry.access(index)
    assert (entry.state, entry.stride) == (STEADY, 1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=8))
def test_runs_and_single_accesses_train_alike(runs):
    """The answer to the last block of each run is that to the run."""
    by_run, by_block = Stride(observe="all"), Stride()
    for run in runs:
        stream, first, count = run
        # A second run is there so that equal reads in a row are told again.
        found = by_run.propose(read(run)) + [fetch for fetch in by_run.propose(read()) if fetch]
        single = [by_block.propose(seen((stream, index, "fault"))) for index in range(first, first + count)]
        assert blocks(found) == blocks(single[-1])


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"degree": 0}, "stride: degree is a whole number from 1 on, not 0"),
        ({"table": 0}, "stride: table is a whole number from 1 on, not 0"),
        ({"observe": "hits"}, "stride: observe is one of faults, all, not 'hits'"),
        ({"per_stream": None}, "stride: per_stream is one of True, False, not None"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Stride(**parameters)
    assert str(error.value) == message
