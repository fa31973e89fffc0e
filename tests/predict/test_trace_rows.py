"""All rows of a small trace: what must hold whatever the numbers are."""

import numpy as np
import pandas as pd
import pytest

from pagedkv.engine.managed import managed_mappings
from pagedkv.predict.horizon import HORIZONS, jaccard
from pagedkv.predict.streams import ARRIVES, entering, pages_of, slots_of
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
        "reuse_distance_pages",
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


def test_faults_are_a_part_of_the_accesses_in_their_order(runs):
    script = runs.script(None)
    everything = pages_of(script)
    some = pages_of(script, [(step, contents[:2]) for step, _, contents in script.entries if len(contents)])
    assert 0 < len(some) < len(everything)
    pairs = list(zip(everything.step.tolist(), everything.content.tolist(), strict=True))
    places = [pairs.index(pair) for pair in zip(some.step.tolist(), some.content.tolist(), strict=True)]
    assert places == sorted(places)


def test_every_access_has_a_slot_and_accesses_of_a_step_have_different_ones(runs):
    script = runs.script(None)
    accesses = pages_of(script)
    slots = slots_of(accesses, managed_mappings(script, runs.header["pool_blocks"], seed=1))
    assert (slots >= 0).all()
    for step in np.unique(accesses.step):
        here = accesses.step == step
        assert len(np.unique(slots[here])) == len(np.unique(accesses.content[here]))


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
