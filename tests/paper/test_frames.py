"""The derived columns against values worked by hand, and the selections that figures share."""

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import frames

# Two demand modes of one scenario. Stall of `none`: 30 s under D-page, 10 s under D-step; bound 2 s; rho 2.
ROWS = pd.DataFrame(
    [
        ("none", "lru", "page", 0, 30.0, 30.0, 2.0, 90.0),
        ("none", "lru", "D-step", "I0", 10.0, 10.0, 2.0, 70.0),
        ("none", "plan_aware", "D-step", 4, 7.0, 10.0, 2.0, 67.0),
        ("la_k", "lru", "d_step", "4", 4.0, 10.0, 2.0, 64.0),
        ("next_n", "lru", "D-step", 1.0, 9.0, 10.0, 2.0, 69.0),
        ("next_n", "lru", "D-layer", 1, 6.0, 8.0, 2.0, 66.0),
    ],
    columns=["prefetch", "eviction", "demand", "level", "stall_s", "stall_none_s", "bound_s", "elapsed_s"],
).assign(scenario="toy", family="schedule", rho=2.0, capacity_blocks=8, peak_live_blocks=16)


def test_derived_columns_by_hand():
    made = frames.load(ROWS)
    la = made[made["prefetch"] == "la_k"].iloc[0]
    assert la["demand"] == "D-step"
    assert (la["knowledge"], la["kind"], la["pool_ratio"]) == (4, "schedule", 0.5)
    assert la["stall_removed"] == pytest.approx(0.6)
    assert la["bound_left"] == pytest.approx(0.2)
    assert la["below_bound"] == pytest.approx(0.2 - 0.4)
    assert la["over_inverse_rho"] == pytest.approx(0.6 - 0.5)
    assert la["removed_of_page"] == pytest.approx(1 - 4 / 30)
    assert la["gain_of_page"] == pytest.approx((10 - 4) / 30)
    assert la["slowdown"] == pytest.approx(64 / 70 - 1)


@pytest.mark.parametrize(
    "family,kind",
    [("none", "none"), ("speculative", "spatial"), ("oracle", "oracle"), ("control", "other"), (None, "other")],
)
def test_the_kind_is_the_family_that_the_row_names(family, kind):
    assert set(frames.load(ROWS.assign(family=family))["kind"]) == {kind}


def test_a_run_is_compared_only_with_runs_over_the_same_steps():
    """Bug: the demand sweep plays the head of a trace, but its D-page stall was the base of runs over the whole."""
    rows = [
        ("main", "D-step", 1000, 50.0, 500.0),
        ("demand", "D-step", 10, 2.0, 7.0),
        ("demand", "D-page", 10, 8.0, 13.0),
    ]
    frame = pd.DataFrame(rows, columns=["sweep", "demand", "steps", "stall_s", "elapsed_s"])
    made = frames.load(frame.assign(scenario="toy", prefetch="none", eviction="lru", family="none", capacity_blocks=8))
    assert made["removed_of_page"].tolist() == pytest.approx([float("nan"), 1 - 2 / 8, 0.0], nan_ok=True)
    assert made["slowdown"].tolist() == [0, 0, 0]


def test_a_control_of_the_closed_loop_is_no_reference():
    """Bug: `recompute only`, also none + LRU under D-step, was averaged into the base of every policy."""
    rows = [("none", "none", 100.0), ("none", "recompute only", 20.0), ("la_k", "LA-8", 50.0)]
    frame = pd.DataFrame(rows, columns=["prefetch", "label", "tokens_s"]).assign(scenario="toy", eviction="lru")
    frame = frame.assign(demand="D-step", capacity_blocks=8, stall_s=1.0, elapsed_s=9.0, steps=[5, 6, 7])
    made = frames.load(frame)
    assert made["slowdown"].tolist() == pytest.approx([0, 100 / 20 - 1, 100 / 50 - 1])
    assert frames.reference(made)["label"].tolist() == ["none"]


def test_no_bound_outside_page_and_step():
    made = frames.load(ROWS)
    assert made.loc[made["demand"] == "D-layer", "bound_left"].isna().all()


def test_the_caller_keeps_its_frame():
    before = ROWS.copy()
    frames.load(ROWS)
    pd.testing.assert_frame_equal(before, ROWS)


def test_matched_takes_the_eviction_of_the_level(metrics):
    rows = frames.matched(frames.load(metrics))
    assert (rows["eviction"] == rows["knowledge"].map(frames.MATCHED)).all()
    assert not rows.duplicated(["scenario", "recorded", "series", "params", "eviction"]).any()


def test_spatial_policy_with_better_eviction_is_no_matched_run(metrics):
    odd = metrics[metrics["prefetch"] == "next_n"].assign(eviction="plan_aware", level=4, sweep="main")
    rows = frames.matched(frames.load(pd.concat([metrics, odd])))
    assert set(rows.loc[rows["kind"] == "spatial", "eviction"]) == {"lru"}


def test_main_keeps_the_recorded_capacity_and_the_link_as_it_is(metrics):
    other = metrics.assign(schedule_from="toy", capacity_blocks=4000)
    rows = frames.main(frames.load(pd.concat([metrics, other])))
    assert set(rows["capacity_blocks"]) == {8000}
    assert set(rows["link_scale"]) == {1.0}


def test_seeds_are_pooled(metrics):
    twice = pd.concat([metrics.assign(stall_removed=0.2, seed=1), metrics.assign(stall_removed=0.4, seed=2)])
    rows = frames.main(frames.load(twice))
    assert rows["stall_removed"].dropna().tolist() == pytest.approx([0.3] * rows["stall_removed"].notna().sum())
    assert len(rows) == len(frames.main(frames.load(metrics)))


def test_missing_column_is_told(tmp_path):
    pd.DataFrame({"scenario": ["a"]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(PagedKVError, match=r"m\.parquet: column prefetch is missing"):
        frames.load(tmp_path / "m.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(PagedKVError, match=r"bad\.parquet: not a readable"):
        frames.load(tmp_path / "bad.parquet")
