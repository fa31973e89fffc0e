"""The comparison under other seeds: a workload that draws nothing is played once, but for its slots."""

import pytest

from pagedkv.metric import seeds
from pagedkv.metric.replay import TraceRuns
from tests.metric.small import calibration, replay_settings, table

SETTINGS = {
    **replay_settings(),
    "workload": {"generator": "toy"},
    "engine": {"pool_blocks": 40, "max_num_seqs": 2, "max_num_batched_tokens": 512, "quantum_steps": 4},
    "seeds": {
        "count": 3,
        "policies": [
            {"prefetch": "next_n", "params": {"n": 4}, "address": ["logical", "physical"]},
            {"prefetch": "la_k", "params": {"k": 4}},
        ],
    },
}


@pytest.fixture
def plays(monkeypatch):
    """(seed of the header, address) of every run that is really played."""
    played, play = [], TraceRuns._play

    def noted(runs, case):
        played.append((runs.header["seed"], case.address))
        return play(runs, case)

    monkeypatch.setattr(TraceRuns, "_play", noted)
    return played


def rows(monkeypatch, requests):
    """Rows where seed s gives `requests(s)` requests."""
    monkeypatch.setattr(seeds, "build", lambda workload, folder, sources: table(requests(workload["seed"])))
    return seeds.seed_rows(SETTINGS, calibration())


def test_only_slots_are_played_anew_where_the_requests_are_the_same(monkeypatch, plays):
    found = rows(monkeypatch, lambda seed: 8)
    assert [row["seed"] for row in found] == [1] * 5 + [2] * 5 + [3] * 5
    assert [play for play in plays if play[0] != 1] == [(2, "physical"), (3, "physical")]


def test_rows_are_those_of_a_trace_of_its_own(monkeypatch, plays):
    spared = rows(monkeypatch, lambda seed: 8)
    monkeypatch.setattr(TraceRuns, "reseeded", lambda runs, seed: alone(runs, seed))
    assert spared == rows(monkeypatch, lambda seed: 8)


def alone(runs, seed):
    fresh = TraceRuns(runs.trace, runs.sha256, runs.calibration, runs.settings)
    fresh.header = {**runs.header, "seed": seed}
    return fresh


def test_other_requests_are_another_trace(monkeypatch, plays):
    found = rows(monkeypatch, lambda seed: 6 + seed)
    assert sorted({row["requests"] for row in found}) == [7, 8, 9]
    assert {seed for seed, address in plays if address == "logical"} == {1, 2, 3}
