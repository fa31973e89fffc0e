"""Figures, tables and numbers of predictability, decisions and the leaderboard, on rows made by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from pagedkv.paper import frames, leaderboard, predict_numbers, predict_rows, predict_tables, style
from pagedkv.paper.figures import draw, entropy


def predicted(scenario: str, faults: float = 100.0) -> pd.DataFrame:
    nan = np.nan
    rows = [
        ("pages", "faults", "", nan, faults),
        ("entropy_bits", "physical", "order 0", nan, 9.0),
        ("entropy_bits", "physical", "order 4", nan, 6.0),
        ("entropy_bits", "logical", "order 1", nan, 0.05),
        ("entropy_bits", "logical, all accesses", "order 1", nan, 0.04),
        ("compressed_bits", "physical", "", nan, 7.0),
        ("compressed_bits", "logical", "", nan, 0.2),
        ("lstm_first", "jumps", "trained on b", nan, 0.25),
        ("lstm_first", "all", "trained on b", nan, 0.9),
        ("lstm_among_top", "all", "trained on b", nan, 0.95),
        ("lstm_places", "jumps", "trained on b", nan, 12.0),
        ("pages_given_schedule_bits", "dense", "", nan, 0.0002),
        ("pages_given_schedule_bits", "topk", "", nan, 2.8),
        ("jaccard", "", "", nan, 0.9),
    ]
    rows += [("schedule_bits", part, level, nan, 0.001) for part in ("who", "when") for level in ("I3", "I4", "I5")]
    for k in (1, 16, 64):
        rows += [(measure, "stay", "", k, 0.5) for measure in ("recall", "precision")]
        rows += [("miss_ratio", curve, "", k, 0.5) for curve in ("lru", "lru, sampled", "min")]
    frame = pd.DataFrame(rows, columns=["measure", "stream", "context", "k", "value"])
    return frame.assign(scenario=scenario, origin="simulated")


def run(series: str, removed: float, **more) -> dict:
    row = {"scenario": "rotation", "prefetch": series, "label": series, "family": "speculative", "eviction": "lru"}
    row |= {"level": "I1", "sweep": "every", "stall_s": 1 - removed, "stall_none_s": 1.0, "stall_removed": removed}
    row |= {"capacity_blocks": 100, "schedule_from": "", "seed": 1, "params": "{}"}
    return row | more


BOARD = frames.load(
    pd.DataFrame(
        [
            run("none", 0.0, family="none", level="I0"),
            run("next_n", 0.1),
            run("stride", 0.3, address="physical", level="I0"),
            run("random", 0.2, family="control", level="I0"),
            run("la_k", 0.6, family="schedule", level="I4"),
            run("la_k", 0.9, family="schedule", level="I4", eviction="plan_aware"),
            run("la_k", 0.95, family="schedule", level="I6", eviction="min"),
            run("next_n", 0.8, eviction="plan_aware", level="I4"),
            *(run("la_k", 0.5 + s / 10, family="schedule", level="I4", sweep="seeds", seed=s) for s in (1, 2)),
            run("next_n", 0.65, sweep="seeds", seed=1),
            run("next_n", 0.1, sweep="seeds", seed=2),
        ]
    )
)


def test_bars_take_the_best_code_and_leave_time_out():
    bars = {label: value for label, _, value in entropy.bars(predicted("a"))}
    assert bars["I0 slots"] == 6.0 and bars["I1 logical"] == 0.05
    assert bars["I3"] == pytest.approx(0.001), "streams of pages do not say when, and neither does this"
    assert bars["top-k"] == 2.8


@pytest.mark.parametrize("name", ["entropy", "horizon", "miss_ratio", "leaderboard"])
def test_figures_draw_with_rows_and_without(name, tmp_path):
    for rows in (pd.concat([predicted("rotation"), predicted("b")]), predict_rows.load(None)):
        metrics = BOARD if len(rows) else BOARD.iloc[:0]
        style.save(draw(name, metrics, metrics, predict=rows), tmp_path / "f.pdf", tmp_path / "f.png")
        assert (tmp_path / "f.png").stat().st_size > 1000


def test_a_scenario_that_loads_nothing_is_left_out():
    rows = pd.concat([predicted("a"), predicted("b", faults=0)])
    assert predict_rows.with_faults(rows) == ["a"]
    assert "b &" not in predict_tables.predictability(rows)


def test_speculative_policies_are_judged_under_lru_and_plans_under_their_own_eviction_too():
    shown = leaderboard.judged(leaderboard.rows_of(BOARD))
    pairs = set(zip(shown["prefetch"], shown["eviction"], strict=True))
    assert ("la_k", "plan_aware") in pairs and ("next_n", "plan_aware") not in pairs
    assert ("la_k", "min") not in pairs, "the eviction's knowledge is not the policy's"


def test_ranks_of_seeds_are_spans():
    assert leaderboard.seed_ranks(BOARD) == {("rotation", "la_k", "lru"): "1--2", ("rotation", "next_n", "lru"): "1--2"}


def test_the_board_lists_the_best_first():
    lines = leaderboard.leaderboard(BOARD).splitlines()
    order = [line.split("&")[1].strip() for line in lines if line.strip().startswith(tuple("123456789"))]
    assert order[:3] == [r"la\_k", "stride (physical)", "random"], "the best run of each policy"


def test_numbers_name_the_best_of_each_kind():
    made = {key: (value, text) for key, value, text in predict_numbers.values(predicted("rotation"), BOARD, None)}
    assert made["board-slots/rotation"][0] == pytest.approx(0.3) and "stride" in made["board-slots-who/rotation"][1]
    assert made["board-logical/rotation"][0] == pytest.approx(0.1)
    assert made["board-plan/rotation"][0] == pytest.approx(0.6)
    assert made["recall/rotation"][0] == 0.5
    assert np.isnan(made["board-plan/chat"][0]) and np.isnan(made["decision-max"][0])


def test_policies_that_are_dear_to_replay_are_named(tmp_path):
    rows = [
        {
            "scenario": scenario,
            "params": "{}",
            "prefetch": name,
            "address": "logical",
            "us_per_call": us,
            "us_per_step": us,
            "times_none": times,
        }
        for scenario, name, us, times in (
            ("a", "la_k", 40.0, 2.0),
            ("a", "lstm", 900.0, 3.0),
            ("b", "lstm", 9000.0, 30.0),
        )
    ]
    (tmp_path / "d.json").write_text(json.dumps({"rows": rows}))
    made = {key: text for key, _, text in predict_numbers.values(predicted("a"), BOARD, tmp_path / "d.json")}
    assert made["decision-dear"] == r"\policy{lstm}"
    assert r"lstm & logical & 9,000 & 9,000 & \textbf{30.0} & b" in predict_tables.decisions(tmp_path / "d.json")


def test_winners_of_tuning_are_printed_by_scenario(tmp_path):
    won = {"params": {"n": 8}}
    (tmp_path / "t.json").write_text(json.dumps({"a": {"next_n {} physical D-step": won}, "b": {}}))
    table = leaderboard.tuned(tmp_path / "t.json")
    assert r"next\_n (physical) & n=8 &" in table


def test_networks_are_listed_by_what_they_were_asked_and_trained_on():
    table = predict_tables.learned(pd.concat([predicted("a"), predicted("b")]))
    assert [line.split(" & ")[:2] for line in table.splitlines() if " & b & " in line] == [["a", "b"], ["b", "b"]]
    made = {key: value for key, value, _ in predict_numbers.values(predicted("a"), BOARD, None)}
    assert made["lstm-jumps-others"] == 0.25


def test_seeds_are_counted_where_something_stalls():
    made = {key: text for key, _, text in predict_numbers.values(predicted("rotation"), BOARD, None)}
    assert made["seeds/rotation"] == "0 of 0", "no run without prefetching was made under other seeds here"
    assert leaderboard.seed_span(BOARD, "rotation", "la_k") == pytest.approx((0.6, 0.65, 0.7))
