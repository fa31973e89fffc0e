"""Rows of the leaderboard: what the grid's job has played is not played again."""

import dataclasses

import pandas as pd
import pytest

from pagedkv.metric.compare import Played, compare_rows, grid_rows
from pagedkv.metric.leaderboard import grid_cases, key_of
from pagedkv.metric.replay import TraceRuns
from tests.metric.small import calibration, replay_settings, trace

NEXT_N = {"prefetch": "next_n", "grid": {"trigger": ["tagged", "miss"], "n": [4, 1]}}
SECTION = {
    "evictions": ["lru", "min"],
    "cross": ["lru", "min"],
    "evicted": [],
    "policies": [NEXT_N, {"prefetch": "clairvoyant"}],
}
TUNED = {key_of(NEXT_N, "logical"): {"params": {"trigger": "miss", "n": 4}}}


@pytest.fixture(scope="module")
def toy():
    return trace()


def runs(toy, digest="of the toy"):
    return TraceRuns(toy, digest, calibration(), replay_settings())


def test_a_row_of_the_grid_is_one_of_metrics_with_its_point_as_it_is_written(toy):
    rows = grid_rows(runs(toy), SECTION)
    assert [row["point"] for row in rows][:2] == ['{"trigger": "tagged", "n": 4}', '{"trigger": "tagged", "n": 1}']
    assert {row["key"] for row in rows} == {"next_n {} logical D-step"}
    assert all(row["sweep"] == "grid" for row in rows)
    assert all(row["label"].startswith("next-") and "stall_removed_lo" in row for row in rows)


@pytest.mark.parametrize("part", ["lru", "min"])
def test_rows_taken_from_the_grid_are_those_that_would_be_played(toy, part, tmp_path):
    pd.DataFrame(grid_rows(runs(toy), SECTION)).to_parquet(tmp_path / "grid.parquet")
    played = Played(pd.read_parquet(tmp_path / "grid.parquet").to_dict("records"))
    sparing, lavish = runs(toy), runs(toy)
    taken = compare_rows(sparing, SECTION, part, TUNED, played)
    pd.testing.assert_frame_equal(
        pd.DataFrame(taken), pd.DataFrame(compare_rows(lavish, SECTION, part, TUNED, Played()))
    )
    assert len(lavish._outcomes) - len(sparing._outcomes) == (1 if part == "lru" else 0)


def test_rows_of_another_trace_or_another_eviction_are_not_taken(toy):
    row = grid_rows(runs(toy), SECTION)[0]
    _, case = next(grid_cases(SECTION))
    assert Played([row]).row("of the toy", case) is not None
    assert Played([row]).row("of another", case) is None
    assert Played([row]).row("of the toy", dataclasses.replace(case, eviction="min")) is None
    assert Played([row]).row("of the toy", dataclasses.replace(case, params={"n": 4})) is None
