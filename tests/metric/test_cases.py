"""The matrix of runs that a section of the configuration asks for."""

from collections import Counter

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case, cases
from tests.metric.small import replay_settings

NEXT = {"prefetch": "next_n", "params": {"n": 2}, "address": ["physical", "logical"]}
LA, TRUE = {"prefetch": "la_k", "params": {"k": 4}}, {"prefetch": "la_k", "params": {"k": 4, "plan": "true"}}


def asked(**changes):
    return list(cases(replay_settings(**changes)["replay"]))


def short(case):
    return case.prefetch, case.address, case.eviction


def test_the_main_matrix_is_none_under_every_eviction_and_every_policy_under_lru():
    made = asked(policies=[{"prefetch": "none"}, NEXT, LA])
    assert [short(case) for case in made] == [
        ("none", "logical", "lru"),
        ("none", "logical", "plan_aware"),
        ("none", "logical", "min"),
        ("next_n", "physical", "lru"),
        ("next_n", "logical", "lru"),
        ("la_k", "logical", "lru"),
    ]
    assert {(case.sweep, case.demand, case.link_scale, case.steps) for case in made} == {("main", "D-step", 1.0, None)}


def test_the_matrix_is_repeated_at_every_capacity_but_the_sweeps_are_not():
    made = asked(capacity=[1.0, 0.5], link_scale=[2.0], sweep=[LA])
    assert Counter((case.sweep, case.capacity) for case in made) == {
        ("main", 1.0): 5,
        ("main", 0.5): 5,
        ("rho", 1.0): 3,
    }


def test_matched_gives_each_policy_the_eviction_of_its_level():
    made = asked(matched=True, policies=[{"prefetch": "none"}, NEXT, LA, TRUE, {"prefetch": "clairvoyant"}])
    matched = [(short(case), case.params.get("plan"), str(case.level)) for case in made if case.sweep == "matched"]
    assert matched == [
        (("next_n", "physical", "lru"), None, "I0"),
        (("next_n", "logical", "lru"), None, "I1"),
        (("la_k", "logical", "plan_aware"), None, "I4"),
        (("la_k", "logical", "plan_aware"), "true", "I5"),
        (("clairvoyant", "logical", "min"), None, "I6"),
    ]


def test_the_sweep_over_link_speeds_has_none_first_and_plan_policies_under_both_evictions():
    made = [
        case for case in asked(link_scale=[0.5, 2.0], sweep=[NEXT | {"address": "logical"}, LA]) if case.sweep == "rho"
    ]
    one = [("none", "logical", "lru"), ("next_n", "logical", "lru")]
    one += [("la_k", "logical", "lru"), ("la_k", "logical", "plan_aware")]
    assert [short(case) for case in made] == one * 2
    assert [case.link_scale for case in made] == [0.5] * 4 + [2.0] * 4


def test_demand_modes_play_the_head_of_the_trace_and_faults_cost_only_under_d_page():
    made = asked(demand=["D-page", "D-step"], fault_us=[20, 0, 50], demand_steps=9)
    bars = [(case.prefetch, case.demand, case.fault_us) for case in made if case.sweep == "demand"]
    assert bars == [
        ("none", "D-page", 20),
        ("next_n", "D-page", 20),
        ("none", "D-step", 0.0),
        ("next_n", "D-step", 0.0),
    ]
    faults = [(case.prefetch, case.fault_us, case.page_bytes) for case in made if case.sweep == "fault"]
    assert faults[:-1] == [(name, cost, None) for cost in (20, 0, 50) for name in ("none", "next_n")]
    assert faults[-1] == ("none", 20, 1024)
    assert {case.steps for case in made if case.sweep in ("demand", "fault")} == {9}


def test_no_fault_sweep_without_d_page():
    assert not [case for case in asked(demand=["D-step", "D-layer"]) if case.sweep == "fault"]


@pytest.mark.parametrize(
    "case,level",
    [
        (Case("none"), Level.I0),
        (Case("next_n", address="physical"), Level.I0),
        (Case("next_n", address="logical"), Level.I1),
        (Case("next_n", address="physical", eviction="plan_aware"), Level.I4),
        (Case("la_k"), Level.I4),
        (Case("next_n", address="host"), Level.I0),
        (Case("next_n", {"trigger": "always"}, address="host-contiguous"), Level.I2),
        (Case("la_k", {"plan": "true"}), Level.I5),
        (Case("la_k", {"plan": "true"}, eviction="min"), Level.I6),
        (Case("none", eviction="min"), Level.I6),
    ],
)
def test_the_level_of_a_run_is_the_higher_one_of_prefetch_and_eviction(case, level):
    assert case.level == level


def test_the_baseline_of_a_run_differs_only_in_the_policy():
    case = Case("la_k", {"k": 2}, "physical", "plan_aware", "D-page", 20, 1024, 0.5, 2.0, 7, "fault")
    assert case.baseline().place == case.place
    assert (case.baseline().prefetch, case.baseline().params, case.baseline().address) == ("none", {}, "logical")
    assert case.baseline("lru").eviction == "lru"


def test_an_unknown_address_is_told():
    with pytest.raises(PagedKVError, match="address 'virtual' is unknown; known are logical, physical, host, "):
        asked(policies=[{"prefetch": "next_n", "address": "virtual"}])
