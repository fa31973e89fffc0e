"""The charge for deciding."""

import json

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.metric.decision_cost import charged, read_costs

RUNS = pd.DataFrame(
    {
        "scenario": "chat",
        "params": ["{}", '{"k": 4}', "{}"],
        "prefetch": ["none", "la_k", "other"],
        "address": ["logical", "logical", "logical"],
        "decision_calls": [0, 1000, 10],
        "steps": [500, 500, 500],
        "stall_s": [2.0, 0.5, 1.0],
        "stall_none_s": [2.0, 2.0, 2.0],
    }
)


def cost(scenario: str, k: int, us: float) -> dict:
    row = {"scenario": scenario, "prefetch": "la_k", "address": "logical", "params": json.dumps({"k": k})}
    return row | {"us_per_call": us, "us_per_step": us, "times_none": 1.0}


def test_a_policy_is_charged_what_it_cost_there_with_its_parameters(tmp_path):
    rows = [cost("rotation", 4, 900.0), cost("chat", 16, 700.0), cost("chat", 4, 250.0)]
    (tmp_path / "decisions.json").write_text(json.dumps({"rows": rows}))
    got = charged(RUNS, read_costs(tmp_path / "decisions.json"))
    plan = got[got["prefetch"] == "la_k"].iloc[0]
    assert plan["decision_us"] == 250.0 and plan["decision_us_per_step"] == 500.0
    assert plan["decision_s"] == pytest.approx(0.25)
    assert plan["stall_removed_charged"] == pytest.approx(1 - 0.75 / 2)


def test_demand_loading_decides_nothing_and_what_was_not_measured_is_not_charged():
    got = charged(RUNS, read_costs(None)).set_index("prefetch")
    assert got.loc["none", "decision_s"] == 0 and got.loc["none", "stall_removed_charged"] == 0
    assert got.loc[["la_k", "other"], ["decision_us", "decision_s", "stall_removed_charged"]].isna().all(axis=None)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.json").write_text('{"rows": [{"a": 1}]}')
    with pytest.raises(PagedKVError, match=r"x\.json: not what benchmarks/decisions\.py writes"):
        read_costs(tmp_path / "x.json")
