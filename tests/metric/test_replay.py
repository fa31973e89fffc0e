"""Rows of a replay: what they are compared with, identity, bounds, warm-up."""

import json
import math
from itertools import product

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.metric import replay
from pagedkv.metric.cases import Case
from pagedkv.metric.decision_cost import COLUMNS
from pagedkv.metric.glossary import RUNS, columns
from tests.metric import small

POLICIES = [
    {"prefetch": "none"},
    {"prefetch": "next_n", "params": {"n": 2, "trigger": "miss"}, "address": ["physical", "logical"]},
    {"prefetch": "la_k", "params": {"k": 2}},
    {"prefetch": "la_k", "params": {"k": 8}},
    {"prefetch": "la_k", "params": {"k": 8, "plan": "true"}},
    {"prefetch": "clairvoyant"},
]
EVERYTHING = {"policies": POLICIES, "matched": True, "link_scale": [0.5, 4.0], "sweep": POLICIES[3:4]}
EVERYTHING |= {"demand": ["D-page", "D-step", "D-layer"], "fault_us": [20, 500]}


@pytest.fixture(scope="module")
def trace():
    return small.trace()


@pytest.fixture(scope="module")
def rows(trace):
    return small.runs_of(trace, **EVERYTHING).rows()


def test_no_row_beats_its_bound(rows):
    for demand in ("D-page", "D-step", "D-layer"):
        assert any(row["bound_s"] > 0 for row in rows if row["demand"] == demand)
    for row in rows:
        assert row["stall_s"] >= row["bound_s"] - 1e-9, row["label"]
        assert row["demand_loads"] + row["issued"] >= row["bound_min_loads"], row["label"]
        assert row["bound_s"] == max(row["bound_b1_s"], row["bound_b2_s"], row["bound_b4_s"])


def test_bounds_of_d_layer_are_its_own(rows):
    bounds = {row["demand"]: row for row in rows if (row["sweep"], row["prefetch"]) == ("demand", "none")}
    assert 0 < bounds["D-layer"]["bound_s"] < bounds["D-step"]["bound_s"] == bounds["D-page"]["bound_s"]


def test_overlap_leaves_the_loads_of_none_beyond_compute_and_idle_time(rows):
    (none,) = (row for row in rows if (row["sweep"], row["prefetch"], row["eviction"]) == ("main", "none", "lru"))
    left = none["demand_loads"] * small.BLOCK_S - none["compute_s"] - none["idle_s"]
    main = [row for row in rows if row["sweep"] == "main"]
    assert left > 0
    assert all(row["bound_b5_s"] == pytest.approx(left) for row in main), "whatever the row's own loads"


def test_stall_none_is_that_of_none_and_lru_in_the_same_place(rows):
    def place(row):
        names = ("sweep", "demand", "fault_us", "page_bytes", "capacity_blocks", "link_scale")
        return tuple(row[name] for name in names)

    none = {place(row): row["stall_s"] for row in rows if (row["prefetch"], row["eviction"]) == ("none", "lru")}
    compared = [row for row in rows if place(row) in none]
    assert {row["sweep"] for row in compared} == {"main", "rho", "demand", "fault"}
    for row in compared:
        assert row["stall_none_s"] == none[place(row)]
        assert row["stall_removed"] == pytest.approx(1 - row["stall_s"] / row["stall_none_s"])
    assert len({none[place(row)] for row in compared if row["sweep"] == "demand"}) == 3, "each mode has its own"


def test_the_shadow_keeps_the_eviction_but_the_reference_is_lru(rows):
    matched = next(row for row in rows if row["sweep"] == "matched" and row["eviction"] == "plan_aware")
    main = {row["eviction"]: row for row in rows if row["sweep"] == "main" and row["prefetch"] == "none"}
    assert matched["demand_loads_none"] == main["plan_aware"]["demand_loads"] != main["lru"]["demand_loads"]
    assert matched["stall_none_s"] == main["lru"]["stall_s"] != main["plan_aware"]["stall_s"]


def test_none_prefetches_nothing(rows):
    for row in rows:
        if row["prefetch"] == "none":
            assert (row["issued"], row["useful"], row["proposals"], row["decision_calls"]) == (0, 0, 0, 0)
            assert row["amplification_blocks"] == 1 and row["pollution"] == 0 and math.isnan(row["accuracy"])
            if row["eviction"] == "lru":
                assert row["stall_removed"] == 0


def test_identity(trace, rows):
    header = trace.header
    for row in rows:
        assert (row["scenario"], row["origin"], row["seed"]) == ("toy", "simulated", 3)
        assert (row["capacity_blocks"], row["schedule_from"]) == (40, "")
        assert row["peak_live_blocks"] == header["peak_live_blocks"] > 40
        assert row["capacity_ratio"] == 40 / header["peak_live_blocks"]
        assert (row["block_bytes"], row["trace_sha256"], row["requests"]) == (4096, "5" * 64, 8)
        assert isinstance(json.loads(row["params"]), dict)
        assert set(row) == set(columns(RUNS)) - {"recorded", *COLUMNS}
        assert row["elapsed_s"] == pytest.approx(row["compute_s"] + row["idle_s"] + row["stall_s"])
    families = {row["prefetch"]: row["family"] for row in rows}
    assert families == {"none": "none", "next_n": "speculative", "la_k": "schedule", "clairvoyant": "oracle"}
    faults = [(row["fault_us"], row["page_bytes"]) for row in rows if row["sweep"] == "fault"]
    assert faults == [(20, 0), (20, 0), (500, 0), (500, 0), (20, 1024)]


def test_another_capacity_is_told_and_only_then(trace):
    made = small.runs_of(trace, capacity=[1.0, 0.8], policies=[{"prefetch": "none"}], evictions=["lru"]).rows()
    assert [(row["capacity_blocks"], row["schedule_from"]) for row in made] == [(40, ""), (32, "pool of 40 blocks")]
    assert made[1]["demand_loads"] > made[0]["demand_loads"]


def test_a_capacity_below_the_read_set_is_refused(trace):
    with pytest.raises(PagedKVError, match="is below the largest read set of the trace"):
        small.runs_of(trace, capacity=[0.3]).rows()


def test_another_model_than_the_trace_is_refused(trace):
    settings = small.replay_settings() | {"model": "llama-3-8b"}
    with pytest.raises(PagedKVError, match="recorded with tiny, the configuration says llama-3-8b"):
        replay.TraceRuns(trace, "", small.calibration(), settings)


def test_the_warm_up_is_cut_from_every_count(trace):
    """Over the same steps, the run that began to count later has the same stalls."""
    case = Case("la_k", {"k": 8})
    whole, cut = small.runs_of(trace), small.runs_of(trace, warmup=0.4)
    first = cut.warmup(cut.script(None))
    assert first == int(0.4 * cut.script(None).steps) > 0
    assert cut.run(case).stalls_s == pytest.approx(whole.run(case).stalls_s[first:])
    assert cut.run(case).stall_s == pytest.approx(whole.run(case).stalls_s[first:].sum())
    row = cut.row(case, lambda label: None)
    assert row["steps"] == len(cut.run(case).stalls_s)
    assert row["compute_s"] == pytest.approx(row["steps"] * small.STEP_S, rel=1e-6)
    assert row["unused"] >= 0 and row["useful"] <= row["issued"] < whole.run(case).issuer.issued


def test_an_outcome_is_played_once(trace, monkeypatch):
    made, played = small.runs_of(trace, **EVERYTHING), []
    play = made._play
    monkeypatch.setattr(made, "_play", lambda case: played.append(case) or play(case))
    made.rows()
    keys = [(case.prefetch, str(case.params), case.address, case.place) for case in played]
    assert len(keys) == len(set(keys))


def test_equal_runs_give_equal_rows(trace, rows):
    again = small.runs_of(trace, **EVERYTHING).rows()
    for one, other in zip(rows, again, strict=True):
        for name in one:
            same = one[name] == other[name] or (one[name] != one[name] and other[name] != other[name])
            assert same, name


def test_a_free_link_leaves_nothing_to_remove(trace):
    made = small.runs_of(trace, link_scale=[1e9], sweep=POLICIES[3:4], evictions=["lru"]).rows()
    assert all(row["stall_s"] < 1e-6 for row in made if row["sweep"] == "rho")


@pytest.mark.parametrize("demand,eviction", list(product(["D-page", "D-step", "D-layer"], ["lru", "min"])))
def test_bytes_are_those_of_loads_and_prefetches_in_every_mode(trace, demand, eviction):
    outcome = small.runs_of(trace).run(Case("la_k", {"k": 8}, demand=demand, eviction=eviction))
    blocks = outcome.counts.demand_loads + outcome.issuer.issued
    assert outcome.h2d_bytes == pytest.approx(blocks * small.TINY.block_bytes)
