"""All rows of a small trace: what must hold whatever the numbers are."""

import numpy as np
import pandas as pd
import pytest

from pagedkv.metric.cases import Case
from pagedkv.predict.horizon import HORIZONS, jaccard
from pagedkv.predict.probe import FaultProbe, ProbeCase
from pagedkv.predict.streams import ARRIVES, entering, lives_of, pages_of
from pagedkv.predict.trace_rows import predict_rows
from tests.metric.small import runs_of, trace


@pytest.fixture(scope="module")
def runs():
    return runs_of(trace())


@pytest.fixture(scope="module")
def rows(runs):
    return pd.DataFrame(predict_rows(runs))


def values(rows, measure, **where):
    found = rows[rows["measure"] == measure]
    for column, wanted in where.items():
        found = found[found[column] == wanted]
    return found["value"]


def test_every_measure_of_the_report_is_there(rows):
    assert set(rows["measure"]) >= {
        "entropy_bits",
        "schedule_bits",
        "pages_given_schedule_bits",
        "compressed_bits",
        "lempel_ziv_bits",
        "fano_accuracy",
        "jaccard",
        "miss_ratio",
        "recall",
        "precision",
    }
    assert set(values(rows, "recall").index) and set(rows[rows["measure"] == "recall"]["k"]) == set(HORIZONS)


def test_the_schedule_tells_all_pages_of_dense_attention(rows):
    assert values(rows, "pages_given_schedule_bits", stream="dense").item() < 0.05
    assert values(rows, "pages_given_schedule_bits", stream="topk").item() > 1


def test_shares_are_shares(rows):
    for measure in ("recall", "precision", "jaccard", "miss_ratio", "fano_accuracy"):
        known = values(rows, measure).dropna()
        assert len(known) and known.between(0, 1).all(), measure


def test_min_never_misses_more_than_lru(rows):
    lru, best = (values(rows, "miss_ratio", stream=name).to_numpy() for name in ("lru", "min"))
    assert (best <= lru + 1e-12).all() and (np.diff(lru) <= 1e-12).all()


@pytest.mark.parametrize("space", ["logical", "physical", "host"])
def test_a_probe_sees_the_faults_of_a_run_without_prefetching(runs, space):
    probe = FaultProbe()
    outcome = runs.run(ProbeCase("another_probe", address=space, probe=probe))
    assert len(probe.pages) == outcome.counts.demand_loads > 0
    assert outcome.stall_s == runs.run(Case("none")).stall_s
    assert (probe.pages.index >= 0).all()


def test_uses_are_creations_and_entries_in_order(runs):
    script = runs.script(None)
    contents, entered = lives_of(script)
    assert entered.sum() == len(pages_of(script)) and (~entered).sum() == script.contents
    first = {int(content): i for i, content in reversed(list(enumerate(contents.tolist())))}
    assert not entered[list(first.values())].any(), "a page is created before it enters"


def test_queue_has_sources(runs):
    for entry in entering(runs.script(None)):
        assert entry.source == entry.request, "nobody shares pages here"


def test_queue_positions_are_places_or_arrivals(runs):
    found = entering(runs.script(None))
    assert found and all(entry.position == ARRIVES or entry.position >= 0 for entry in found)
    assert any(entry.position == 0 for entry in found)


def test_likeness_of_steps_by_hand():
    # {a b} then {b c}: one of three; then {b c} again: all
    assert jaccard(np.array([2, 2, 2]), np.array([2, 1, 0])) == pytest.approx((1 / 3 + 1) / 2)


def test_a_trace_that_fits_has_nothing_to_predict():
    rows = pd.DataFrame(predict_rows(runs_of(trace(2, pool_blocks=400, quantum_steps=None))))
    assert values(rows, "pages", stream="faults").item() == 0
    assert values(rows, "entropy_bits", stream="logical").isna().all()
