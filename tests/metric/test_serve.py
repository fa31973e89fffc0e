"""What requests experience, worked by hand on a toy engine: a step computes 4 ms, a block takes 1 ms on the link."""

import math

import numpy as np
import pytest

from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.metric.serve import run_closed_loop, serve_metrics, serve_rows, weighted_percentile
from pagedkv.workload.sessions import single_turns
from tests.metric import small

MS = 1e-3


def served(arrival_s, prompt, output, case=None, **engine):
    table = single_turns(np.array(arrival_s), np.array(prompt), np.array(output), name="toy", origin={})
    settings = EngineSettings.from_config({"pool_blocks": 64, "max_num_seqs": 4, **engine})
    return serve_metrics(run_closed_loop(table, case or Case("none"), settings, small.TINY, small.calibration()))


def test_one_request_alone():
    """Arrives at 0, prompt in the first step, five tokens: first token after 4 ms, one every 4 ms, last after 20 ms."""
    row = served([0.0], [20], [5])
    assert row["ttft_mean_s"] == row["ttft_p50_s"] == row["ttft_p99_s"] == pytest.approx(4 * MS)
    assert [row["tpot_p50_s"], row["itl_p50_s"], row["itl_p99_s"]] == pytest.approx([4 * MS] * 3)
    assert row["completion_p50_s"] == row["elapsed_s"] == row["compute_s"] == pytest.approx(20 * MS)
    assert (row["requests"], row["steps"], row["stall_s"], row["preemptions"]) == (1, 5, 0, 0)
    assert (row["tokens_s"], row["requests_s"]) == pytest.approx((5 / 0.02, 1 / 0.02))
    assert row["effective_batch"] == pytest.approx(1)


def test_a_second_request_waits_for_the_step_and_shares_the_next():
    """A: at 0, three tokens at 4, 8, 12 ms. B: at 1 ms, joins the step at 4 ms; first token at 8 ms, that is 7 ms after
    its arrival, then 12 and 16 ms. The batch holds 1, 2, 2, 1 requests in four steps."""
    row = served([0.0, 1 * MS], [20, 20], [3, 3])
    assert row["ttft_mean_s"] == pytest.approx((4 + 7) / 2 * MS)
    assert (row["ttft_p50_s"], row["ttft_p99_s"]) == pytest.approx((5.5 * MS, (4 + 0.99 * 3) * MS))
    assert row["completion_p50_s"] == pytest.approx((12 + 15) / 2 * MS)
    assert row["effective_batch"] == pytest.approx(6 / 4)
    assert row["elapsed_s"] == pytest.approx(16 * MS)


def test_time_between_tokens_while_another_request_has_the_batch():
    """One at a time, rotated every two steps: A has tokens at 4 and 8 ms, B at 12 and 16 ms, then A again at 20 and
    24 ms. The gaps of A are 4, 12 and 4 ms, those of B as well: TPOT is 20/3 ms, ITL 4 ms at
    the median and 12 ms at p99."""
    row = served([0.0, 0.0], [20, 20], [4, 4], max_num_seqs=1, quantum_steps=2)
    assert row["stall_s"] == 0
    assert (row["tpot_p50_s"], row["tpot_p99_s"]) == pytest.approx((20 / 3 * MS, 20 / 3 * MS))
    assert (row["itl_p50_s"], row["itl_p99_s"]) == pytest.approx((4 * MS, 12 * MS))


def test_one_token_has_a_ttft_but_no_tpot():
    row = served([0.0], [20], [1])
    assert row["ttft_p50_s"] == pytest.approx(4 * MS)
    assert all(math.isnan(row[name]) for name in ("tpot_p50_s", "tpot_p99_s", "itl_p50_s", "itl_p99_s"))


def test_a_request_that_cannot_fit_is_dropped_and_counted():
    row = served([0.0, 0.0], [20, 2000], [2, 2])
    assert (row["requests"], row["dropped_requests"]) == (1, 1)


def test_under_pressure_bytes_and_loads_agree_and_async_delays_requests_instead():
    settings = EngineSettings.from_config(small.ENGINE)
    rows = {}
    for demand in ("D-step", "D-async"):
        loop = run_closed_loop(small.table(), Case("none", demand=demand), settings, small.TINY, small.calibration())
        rows[demand] = serve_metrics(loop)
        assert rows[demand]["h2d_bytes"] == rows[demand]["demand_loads"] * small.TINY.block_bytes > 0
    # The rest are waits for a victim whose store is not finished.
    assert 1 <= rows["D-step"]["stall_s"] / (rows["D-step"]["demand_loads"] * MS) < 1.05
    assert rows["D-step"]["request_delay_s"] == 0 < rows["D-async"]["request_delay_s"]
    assert rows["D-async"]["stall_s"] < rows["D-step"]["stall_s"]


def test_rows_say_what_was_run():
    settings = {"scenario": "toy", "seed": 3, "engine": small.ENGINE}
    settings["serve"] = [
        {"prefetch": "la_k", "params": {"k": 4}, "eviction": "plan_aware", "demand": "D-step"},
        {"prefetch": "none", "eviction": "lru", "demand": "D-step", "label": "few", "engine": {"max_num_seqs": 1}},
        {"prefetch": "none", "eviction": "lru", "demand": "D-step", "engine": {"max_num_seqs": 1}},
    ]
    started = []
    first, second, third = serve_rows(small.table(4), settings, small.TINY, small.calibration(), started.append)
    assert (first["prefetch"], first["family"], first["params"], first["level"]) == (
        "la_k",
        "schedule",
        '{"k": 4}',
        "I4",
    )
    assert (first["max_num_seqs"], second["max_num_seqs"], second["label"]) == (2, 1, "few")
    assert (second["host_blocks"], second["family"], second["level"]) == (-1, "none", "I0")
    assert first["workload_sha256"] == small.table(4).digest
    assert third["label"] == "none (max_num_seqs=1)", "a control is never called like the run that it controls"
    assert started == ["LA-4 stay plan_aware D-step", "none lru D-step", "none lru D-step"]


@pytest.mark.parametrize("case", [Case("none", eviction="min"), Case("clairvoyant"), Case("la_k", {"plan": "true"})])
def test_a_closed_loop_has_no_future_to_show(case):
    with pytest.raises(PagedKVError, match="a closed loop has no future to show; use replay"):
        run_closed_loop(small.table(2), case, EngineSettings(40), small.TINY, small.calibration())


@pytest.mark.parametrize("percent,value", [(1, 1.0), (25, 1.0), (26, 2.0), (50, 2.0), (75, 2.0), (76, 5.0), (100, 5.0)])
def test_weighted_percentile_is_that_of_the_values_repeated(percent, value):
    """One 1.0, two 2.0, one 5.0, given out of order."""
    assert weighted_percentile(np.array([5.0, 1.0, 2.0]), np.array([1, 1, 2]), percent) == value


def test_weighted_percentile_without_values():
    assert math.isnan(weighted_percentile(np.zeros(0), np.zeros(0), 50))
