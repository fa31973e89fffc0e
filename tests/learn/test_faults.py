"""The stream that a predictor learns from."""

import pytest

from pagedkv.learn.faults import Split, fault_calls
from pagedkv.metric.cases import Case
from tests.metric import small


@pytest.fixture(scope="module")
def trace():
    return small.trace()


def test_the_faults_are_the_demand_loads_of_a_replay_without_prefetching(trace):
    calls = fault_calls(trace, small.calibration())
    faults = [(stream, first + i) for call in calls for stream, first, count in call for i in range(count)]
    assert len(faults) == small.runs_of(trace).run(Case("none")).counts.demand_loads > 100
    assert {stream for stream, _ in faults} == set(range(8))
    assert all(call for call in calls)


def test_a_split_leaves_calls_whole():
    """Faults 3 4 2 1: 60 % of 10 lie in the first two calls, which have 7; 70 % as well, 71 % not."""
    calls = [[(1, 0, 3)], [(1, 3, 2), (2, 0, 2)], [(1, 0, 2)], [(1, 0, 1)]]
    for share, cut in [(0.0, 0), (0.3, 0), (0.31, 1), (0.6, 1), (0.7, 1), (0.71, 2), (1.0, 3)]:
        split = Split.at(calls, share)
        assert split.before + split.after == calls
        assert len(split.before) == cut
    assert Split.at([], 0.6) == Split([], [])
