"""Costs of measured steps: tables at, between and beyond their points, worked out by hand."""

from dataclasses import replace

import pytest

from pagedkv.device.cost import ComputeCost, MeasuredCost, PathCost, Table
from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry

TINY = geometry("tiny")
TABLE = Table(((10, 1.0), (20, 3.0), (40, 4.0)))
COST = MeasuredCost(
    "tiny",
    PathCost(0.5, Table(((1, 1.0), (4, 2.0), (8, 4.0))), Table(((1, 0.01), (8, 0.08)))),
    PathCost(0.25, Table(((16, 3.0), (32, 5.0))), Table(((16, 0.1),)), 0.001),
)


@pytest.mark.parametrize(
    "x, value",
    [(1, 1.0), (10, 1.0), (15, 2.0), (20, 3.0), (30, 3.5), (40, 4.0), (60, 5.0)],
)
def test_a_table_is_linear_between_its_points_and_goes_on_beyond_them(x, value):
    assert TABLE.at(x) == pytest.approx(value)
    assert TABLE.held(x) == pytest.approx(min(value, 4.0))


def test_a_table_never_falls_beyond_its_points():
    """Noise at its end would make large steps free."""
    assert Table(((1, 2.0), (2, 1.0))).at(100) == 1.0
    assert Table(((5, 2.0),)).at(1) == Table(((5, 2.0),)).at(100) == 2.0


@pytest.mark.parametrize("tokens, bucket", [(1, 1), (2, 4), (3, 4), (4, 4), (5, 8), (8, 8), (9, 9)])
def test_a_decode_step_costs_what_its_bucket_costs(tokens, bucket):
    at_bucket = {1: 1.5, 4: 2.5, 8: 4.5, 9: 5.0}[bucket]
    per_token = 0.01 * min(bucket, 8)
    assert COST.step_s(TINY, tokens, 0, 0.0) == pytest.approx(at_bucket)
    assert COST.step_s(TINY, tokens, 100, 0.0) == pytest.approx(at_bucket + 100 * per_token)


def test_a_step_with_a_prefill_chunk_takes_the_other_path():
    """0.25 of the host, half way from 3 to 5, 0.1 a token of context, 0.001 a pair."""
    assert COST.step_s(TINY, 24, 50, 300.0) == pytest.approx(0.25 + 4.0 + 5.0 + 0.3)
    assert COST.step_s(TINY, 48, 0, 1.0) == pytest.approx(0.25 + 7.0 + 0.001)


def test_a_model_that_was_not_measured_is_refused():
    with pytest.raises(PagedKVError, match="^the calibration was measured with tiny, not with llama-3-8b$"):
        COST.step_s(geometry("llama-3-8b"), 1, 1, 0.0)


@pytest.mark.parametrize("stall_s, hidden_s", [(0.0, 0.0), (0.5, 0.5), (3.0, 1.7), (9.0, 1.7)])
def test_a_wait_is_hidden_where_the_host_is_still_launching(stall_s, hidden_s):
    """Launching takes 5 s, kernels 0.25 + 3 + 0.05 = 3.3: the step is over at 5, or 3.3 after its loads."""
    cost = replace(COST, mixed=replace(COST.mixed, launch_s=5.0))
    whole_s = cost.step_s(TINY, 16, 0, 50.0)
    found = cost.hidden_s(TINY, stall_s, 16, 0, 50.0)
    assert found == pytest.approx(hidden_s)
    assert stall_s + whole_s - found == pytest.approx(max(5.0, stall_s + 3.3))
    assert cost.hidden_s(TINY, stall_s, 16, 0, 0.0) == 0.0, "a step that only decodes is a graph"
    assert ComputeCost(1.0, 1.0, 1.0).hidden_s(TINY, stall_s, 16, 0, 50.0) == 0.0
