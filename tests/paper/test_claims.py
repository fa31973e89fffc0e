"""Claims on frames made by hand: the three verdicts, intervals, differences, and errors that name the claim."""

import json

import pandas as pd
import pytest
import yaml

from pagedkv.errors import PagedKVError
from pagedkv.paper import claims

ROWS = pd.DataFrame(
    {
        "scenario": ["a", "a", "b", "b"],
        "prefetch": ["next_n", "la_k", "next_n", "la_k"],
        "eviction": "lru",
        "address": "logical",
        "demand": "D-step",
        "score": [0.02, 0.8, 0.04, 0.6],
        "stall_removed": [0.02, 0.8, 0.04, 0.6],
        "stall_removed_lo": [0.01, 0.7, 0.03, 0.5],
        "stall_removed_hi": [0.03, 0.9, 0.06, 0.7],
    }
)
BASE = {
    "id": "c",
    "text": "less than {threshold}",
    "refuted": "as much as {value}",
    "measure": {"where": {"prefetch": "next_n"}, "metric": "stall_removed", "reduce": "max"},
    "compare": "<",
    "threshold": 0.05,
}


def _decide(**changes):
    table = claims.frames.load(ROWS)
    return claims.decide(BASE | changes, {"metrics": table, "serve": table})


def test_holds_with_the_confidence_interval_of_the_deciding_rows():
    made = _decide()
    assert (made["verdict"], made["value"], made["interval"]) == ("holds", 0.04, "confidence")
    assert (made["low"], made["high"], made["crosses"]) == (0.03, 0.06, True)
    assert made["sentence"] == r"less than 5\,\%"


def test_refuted_prints_the_other_sentence():
    made = _decide(threshold=0.03)
    assert made["verdict"] == "refuted"
    assert made["sentence"] == r"as much as 4.0\,\%"
    assert made["text"] == r"less than 3\,\%"


def test_undecided_without_rows():
    made = _decide(measure=BASE["measure"] | {"where": {"prefetch": "nobody"}})
    assert (made["verdict"], made["value"], made["groups"]) == ("undecided", None, 0)


def test_range_where_a_metric_has_no_interval():
    made = _decide(measure=BASE["measure"] | {"metric": "score"})
    assert (made["low"], made["high"], made["interval"]) == (0.02, 0.04, "range")


def test_difference_within_each_group():
    # a: 0.8 - 0.02 = 0.78, b: 0.6 - 0.04 = 0.56; the smaller one decides.
    made = _decide(
        measure={"where": {"prefetch": "la_k"}, "metric": "stall_removed", "reduce": "min"},
        minus={"where": {"prefetch": "next_n"}, "metric": "stall_removed", "reduce": "max"},
        across="min",
        compare=">",
        threshold=0,
    )
    assert made["verdict"] == "holds"
    assert made["value"] == pytest.approx(0.56)
    assert (made["low"], made["high"]) == pytest.approx((0.5 - 0.06, 0.7 - 0.03))


def test_recorded_rows_count_only_when_asked_for():
    table = claims.frames.load(ROWS.assign(recorded=True))
    tables = {"metrics": table, "serve": table}
    assert claims.decide(BASE, tables)["verdict"] == "undecided"
    where = {"prefetch": "next_n", "recorded": [True, False]}
    assert claims.decide(BASE | {"measure": BASE["measure"] | {"where": where}}, tables)["verdict"] == "holds"


@pytest.mark.parametrize(
    "tests, left", [({"gt": 0.03}, 3), ({"ge": 0.6, "lt": 0.8}, 1), ({"ne": 0.8}, 3), ({"known": False}, 0)]
)
def test_tests_of_where(tests, left):
    assert len(claims.select(claims.frames.load(ROWS), {"score": tests}, "c")) == left


@pytest.mark.parametrize(
    "change, cause",
    [
        ({"compare": "=="}, "compare is '=='"),
        ({"threshold": "5"}, "threshold is not a number"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"measure": {"metric": "x", "reduce": "eval"}}, "reduces by 'eval'"),
        ({"id": "a b"}, "letters, digits and hyphens"),
    ],
)
def test_a_bad_claim_is_told_by_name(change, cause, tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [BASE | change]}))
    with pytest.raises(PagedKVError, match=cause):
        claims.read(path)


def test_unknown_columns_and_tests_are_told():
    with pytest.raises(PagedKVError, match="claim c: metric 'nonsense'"):
        _decide(measure=BASE["measure"] | {"metric": "nonsense"})
    with pytest.raises(PagedKVError, match="claim c: column 'nonsense'"):
        _decide(measure=BASE["measure"] | {"where": {"nonsense": 1}})
    with pytest.raises(PagedKVError, match="claim c: unknown test 'exec'"):
        _decide(measure=BASE["measure"] | {"where": {"score": {"exec": 1}}})


def test_the_claims_of_the_report_run(report, metrics, serve, fidelity, tmp_path, capsys):
    out = tmp_path / "claims.json", tmp_path / "claims.tex"
    results = claims.evaluate(report / "claims.yaml", metrics, serve, *out, fidelity)
    assert len(results) >= 8
    assert all(r["verdict"] == "holds" for r in results), [r["id"] for r in results if r["verdict"] != "holds"]
    assert json.loads(out[0].read_text()) == results
    assert out[1].read_text().count(r"\pkvdefclaim") == len(results)
    claims.print_claims(out[0])
    shown = capsys.readouterr().out
    assert f"{len(results)} holds, 0 refuted, 0 undecided" in shown
    assert "\\" not in shown


def test_the_claims_of_the_report_can_fail(report, metrics, serve, tmp_path):
    worse = metrics.assign(stall_removed=0.5, coverage=0.5, cross_step_share=0.5, stall_removed_lo=0.4)
    results = claims.evaluate(report / "claims.yaml", worse, serve, tmp_path / "j", tmp_path / "t")
    verdicts = {r["id"]: r["verdict"] for r in results}
    assert verdicts["os-logical-stall"] == verdicts["os-same-step"] == verdicts["os-physical-coverage"] == "refuted"
    none = claims.evaluate(report / "claims.yaml", metrics.iloc[:0], serve.iloc[:0], tmp_path / "j", tmp_path / "t")
    assert {r["verdict"] for r in none} == {"undecided"}


def test_claims_about_the_simulator_can_fail(report, metrics, serve, fidelity, tmp_path):
    worse = fidelity.assign(tpot_off=0.2, tau=0.1, identical_share=0.5, decisions_exact=0.0, breaks=0.0)
    results = claims.evaluate(report / "claims.yaml", metrics, serve, tmp_path / "j", tmp_path / "t", worse)
    refuted = {r["id"] for r in results if r["verdict"] == "refuted"}
    assert refuted == {"tpot", "order-kept", "tokens-identical", "conformance-exact", "ablations-break"}


def test_the_thresholds_of_claims_are_the_bars(report):
    from pagedkv.fidelity.bars import BARS

    limits = {c["measure"]["metric"]: c["threshold"] for c in claims.read(report / "claims.yaml")}
    shown = {bar.column: bar.limit for bar in BARS if bar.column in limits}
    assert {column: limits[column] for column in shown} == shown
    assert len(shown) >= 7
