"""From a folder of measurements to the table: rows of every kind, bars with verdicts, errors that name the file."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.fidelity import measurements
from pagedkv.fidelity.bars import BARS, bar_rows
from pagedkv.fidelity.columns import frame
from pagedkv.fidelity.measurements import read, requests_of
from pagedkv.fidelity.ship import ship
from pagedkv.fidelity.table import fidelity_table, scenario_rows
from pagedkv.trace import write
from pagedkv.workload import build
from tests.fidelity import synthetic
from tests.fidelity.synthetic import CASES, MACHINE, closed, costs, folder, table


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("measured") / "toy", noise=0.003)


@pytest.fixture(scope="module")
def rows(toy):
    return scenario_rows(read(toy), costs(), table=table())


def of(rows, kind):
    return [row for row in rows if row["kind"] == kind]


def test_rows_of_every_kind(rows):
    assert {kind: len(of(rows, kind)) for kind in ("closed", "ablation", "pinned", "order", "identity", "cost")} == {
        "closed": 3, "ablation": 15, "pinned": 4, "order": 3, "identity": 2, "cost": 2,
    }  # fmt: skip
    made = frame([*rows, *bar_rows(rows)])
    assert (made["machine"][made["kind"] != "bar"] == "Toy GPU").all()
    assert made["decisions_exact"].dropna().tolist() == [1, 1, 1]
    assert made["host_us_p50"].dropna().eq(150).all()
    assert made.loc[made["label"] == "batch-invariant kernels", "slowdown"].item() == pytest.approx(0.3)


def test_pinned_rows_are_the_simulated_replay_beside_the_measured(rows):
    """The links of the 'GPU' are slower by a tenth, and the simulator's are not."""
    none, *_, best = of(rows, "pinned")
    assert none["stall_removed_measured"] == none["stall_removed_simulated"] == 0
    assert none["stall_s_error"] == pytest.approx(1 / 1.1 - 1, abs=0.02)
    assert best["stall_removed_simulated"] > 0.2
    assert best["stall_removed_error"] == best["stall_removed_simulated"] - best["stall_removed_measured"]
    assert all(row["tokens_identical"] == row["logits_identical"] == 1 for row in of(rows, "pinned"))


def test_other_tokens_of_one_policy_are_noticed(toy):
    measured = read(toy)
    measured.pinned["rows"][1]["tokens_sha256"] = "other"
    found = of(scenario_rows(measured, costs(), table=table()), "pinned")
    assert {row["tokens_identical"] for row in found} == {0}


def test_the_schedule_that_was_pinned_is_told_by_what_it_loads_on_demand(toy):
    measured = read(toy)
    (demanded,) = [r for r in measured.pinned["rows"] if (r["prefetch"], r["eviction"]) == ("none", "lru")]
    demanded["h2d_bytes"] += 1
    with pytest.raises(PagedKVError, match="no trace at hand has the schedule that was pinned for scenario 'toy'"):
        scenario_rows(measured, costs(), table=table())


def test_a_bar_is_decided_by_the_worst_run_and_a_miss_has_a_cause(rows):
    good = {row["bar"]: row for row in bar_rows(rows)}
    assert set(good) == {bar.name for bar in BARS}
    assert {good[name]["verdict"] for name in ("decisions", "fed bytes", "step")} == {"kept"}
    worse = [dict(row) for row in rows]
    worst = next(row for row in worse if row["kind"] == "closed" and row["label"] == "LA-8 stay")
    worst |= {"tpot_off": 0.2, "term_stall": -0.11, "term_steps": 0.02, "term_batches": 0.0, "term_idle": 0.5}
    worst |= {"decisions_exact": 0.0, "first_difference": "step 3, reads: recorded 1 rows, fed 2"}
    bad = {row["bar"]: row for row in bar_rows(worse)}
    assert (bad["tpot"]["verdict"], bad["tpot"]["label"]) == ("missed", "LA-8 stay")
    assert bad["tpot"]["cause"] == "stall: too short by 11.0% of the elapsed time"
    assert bad["decisions"]["cause"] == "step 3, reads: recorded 1 rows, fed 2"


def test_nothing_measured_is_a_table_of_bars_without_values():
    made = fidelity_table([], costs(), pinned_traces=synthetic.Path("nowhere"))
    assert set(made["kind"]) == {"bar"}
    assert set(made["verdict"]) == {"not measured"}
    assert made["value"].isna().all()


def test_the_table_is_the_same_bytes_each_time_and_keeps_its_types(rows, tmp_path):
    from pagedkv.metric.aggregate import write_rows

    for name in ("one", "two"):
        write_rows(frame(rows), tmp_path / name)
    write_rows(frame(), tmp_path / "none")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(pd.read_parquet(tmp_path / "none").dtypes) == list(pd.read_parquet(tmp_path / "one").dtypes)


def test_the_requests_of_a_trace_are_made_anew_or_refused():
    for workload in ({"generator": "code", "duration_s": 30, "seed": 4}, {"generator": "fits"}):
        made = build(workload, "")
        trace = closed(CASES[0])
        trace.header.update(workload=json.loads(json.dumps(dict(made.origin))), workload_sha256=made.digest)
        assert requests_of(trace).digest == made.digest
    trace.header["workload_sha256"] = "0" * 64
    with pytest.raises(PagedKVError, match="generator 'fits' makes other requests now"):
        requests_of(trace)


@pytest.mark.parametrize(
    "broken, cause", [("[1]", "pinned.json: not measured rows"), ('{"machine": {}}', "not measured rows: KeyError")]
)
def test_broken_rows_are_told_by_file(tmp_path, broken, cause):
    (tmp_path / "pinned.json").write_text(broken)
    with pytest.raises(PagedKVError, match=cause):
        read(tmp_path)


def test_a_plain_trace_is_no_measurement(tmp_path):
    trace = closed(CASES[0])
    del trace.header["served"]
    write(trace, tmp_path / "closed-0.kvtrace")
    with pytest.raises(PagedKVError, match=r"closed-0\.kvtrace: its header has no 'served'"):
        read(tmp_path)


def test_runs_are_taken_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2):
        trace = closed(CASES[0])
        trace.header["number"] = number
        write(trace, tmp_path / f"closed-{number}.kvtrace")
    assert [trace.header["number"] for trace in read(tmp_path).closed] == [2, 10]


def test_shipped_measurements_are_vouched_for(toy, tmp_path, monkeypatch):
    with pytest.raises(PagedKVError, match="measured on 'None'; only what a GPU measured is shipped"):
        ship([toy], None, tmp_path / "recorded")
    monkeypatch.setitem(MACHINE, "where", "cuda")
    real = folder(tmp_path / "toy", noise=0.003)
    (tmp_path / "identity.json").write_text(json.dumps(synthetic.IDENTITY))
    written = ship([real], tmp_path / "identity.json", tmp_path / "recorded")
    assert {path.name for path in written} >= {"closed-0.kvtrace", "pinned.json", "identity.json"}
    shipped = read(tmp_path / "recorded/toy")
    assert [trace.header["policy"] for trace in shipped.closed] == [
        trace.header["policy"] for trace in read(real).closed
    ]
    assert measurements.read_rows(tmp_path / "recorded/identity.json")["rows"] == synthetic.IDENTITY["rows"]
    (tmp_path / "recorded/toy/pinned.json").write_text("{}")
    with pytest.raises(PagedKVError, match=r"pinned\.json: does not match the checksum"):
        read(tmp_path / "recorded/toy")


def test_a_run_whose_calibration_is_lost_is_not_judged(toy):
    measured = read(toy)
    lost = replace(measured, planned_with=replace(costs(), status="of another day"))
    assert all(math.isnan(row["decisions_exact"]) for row in of(scenario_rows(lost, costs(), table=table()), "closed"))
