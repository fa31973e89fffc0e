"""Which runs the leaderboard asks for, and how parameters are chosen."""

import json

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.metric.leaderboard import grid_cases, grid_points, key_of, leaderboard_cases, parts, tune

NEXT_N = {"prefetch": "next_n", "address": ["physical", "logical"], "grid": {"n": [8, 1]}}
PLAN = {"prefetch": "la_k", "params": {"k": 16}}
CONTROL = {"prefetch": "clairvoyant", "bytes_of": {"prefetch": "la_k", "params": {"k": 4}}}
SECTION = {
    "policies": [NEXT_N, PLAN],
    "cross": ["lru", "min"],
    "evictions": ["lru", "min", "plan_aware"],
    "evicted": [PLAN],
}


def refuse(control: Case, reference: Case) -> dict:
    raise AssertionError("no control was asked for")


def tuned(n: int) -> dict:
    return {key_of(NEXT_N, address): {"params": {"n": n}} for address in NEXT_N["address"]}


def test_points_come_in_the_order_in_which_they_are_written():
    entry = {"prefetch": "next_n", "params": {"trigger": "miss"}, "grid": {"n": [8, 1], "x": [0, 1]}}
    assert [(p["n"], p["x"]) for p in grid_points(entry)] == [(8, 0), (8, 1), (1, 0), (1, 1)]
    assert all(point["trigger"] == "miss" for point in grid_points(entry))


def test_a_grid_is_tried_under_every_address_on_the_whole_trace():
    tried = [(case.params["n"], case.address, case.steps) for _, case in grid_cases(SECTION)]
    assert tried == [(8, "physical", None), (1, "physical", None), (8, "logical", None), (1, "logical", None)]


def test_every_policy_runs_under_the_crossed_evictions_and_some_under_all():
    runs = [run for part in parts(SECTION) for run in leaderboard_cases(SECTION, part, tuned(3), refuse)]
    assert parts(SECTION) == ["lru", "min", "others"]
    assert [run.eviction for run in runs if run.prefetch == "none"] == ["lru", "min", "plan_aware"]
    cases = [(run.eviction, run.address, run.params["n"]) for run in runs if run.prefetch == "next_n"]
    assert cases == [("lru", "physical", 3), ("lru", "logical", 3), ("min", "physical", 3), ("min", "logical", 3)]
    assert [run.eviction for run in runs if run.prefetch == "la_k"] == ["lru", "min", "plan_aware"]
    assert {run.sweep for run in runs} == {"every"}


def test_without_other_evictions_there_is_no_other_part():
    section = {**SECTION, "evictions": ["min", "lru"]}
    assert parts(section) == ["lru", "min"]
    with pytest.raises(PagedKVError, match="no part 'others'; there are lru, min"):
        list(leaderboard_cases(section, "others", tuned(3), refuse))


def test_a_control_gets_the_bytes_of_the_policy_that_it_stands_beside():
    asked = []

    def equal(control: Case, reference: Case) -> dict:
        asked.append((control.prefetch, reference.prefetch, reference.params, reference.eviction))
        return {"entries": 7}

    section = {**SECTION, "policies": [CONTROL]}
    runs = [run for part in parts(section) for run in leaderboard_cases(section, part, {}, equal)]
    assert asked == [("clairvoyant", "la_k", {"k": 4}, "lru")]
    assert [(run.eviction, run.params) for run in runs if run.prefetch == "clairvoyant"] == [("lru", {"entries": 7})]


def points(**removed: float) -> pd.DataFrame:
    rows = [{"key": "p", "point": json.dumps({"n": int(n[1:])}), "stall_removed": r} for n, r in removed.items()]
    return pd.DataFrame(rows)


def test_a_scenario_has_no_say_in_its_own_parameters():
    won = tune({"a": points(n1=0.9, n2=0.0), "b": points(n1=0.1, n2=0.5), "c": points(n1=0.2, n2=0.3)})
    assert won["a"]["p"]["params"] == {"n": 2} and won["a"]["p"]["removed_on_others"] == pytest.approx(0.4)
    assert won["b"]["p"]["params"] == {"n": 1} and won["b"]["p"]["tuned_on"] == ["a", "c"]


def test_without_a_difference_the_first_point_stays():
    won = tune({"a": points(n4=0.0, n1=0.0), "b": points(n4=0.0, n1=0.0)})
    assert won["a"]["p"]["params"] == {"n": 4} and won["b"]["p"]["params"] == {"n": 4}


def test_scenarios_that_never_stall_cannot_tune():
    nan = float("nan")
    with pytest.raises(PagedKVError, match="none of b stalls, so that they cannot tune 'p'"):
        tune({"a": points(n1=0.5), "b": points(n1=nan)})


def test_one_scenario_cannot_be_judged():
    with pytest.raises(PagedKVError, match="at least two scenarios"):
        tune({"a": points(n1=0.0)})
