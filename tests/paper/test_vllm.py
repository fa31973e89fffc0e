"""What the report says of vLLM, from rows made by hand."""

import math

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import frames, vllm

CASES = [
    ("sessions", True, 10, 10),
    ("sessions", True, 30, 27),
    ("public", True, 60, 60),
    ("offload", False, 50, 5),
]
CONFORMANCE = pd.DataFrame(
    [
        {"class": name, "exact": exact, "requests": 3, "steps": steps, "identical_steps": same, "preemptions": 1}
        for name, exact, steps, same in CASES
    ]
).assign(hit_tokens=16)


def choice(name, scenario="vllm_chat", **columns):
    row = {"scenario": scenario, "choice": name, "version": "0.26.0", "elapsed_s": 1.0, "ttft_mean_s": 1.0}
    row |= {"ttft_p99_s": 2.0, "tpot_p50_s": 0.01, "stall_s": 0.5, "h2d_bytes": 2e9, "d2h_bytes": 6e9}
    return row | {"preemptions": 4, "wrong_reads_blocks": 0} | columns


CHOICES = pd.DataFrame(
    [
        choice("offload"),
        choice("no offload", ttft_mean_s=1.5, h2d_bytes=0.0),
        choice("outputs too", d2h_bytes=9e9, wrong_reads_blocks=7),
        choice("store on second look-up", h2d_bytes=1e9),
        choice("asynchronous", ttft_mean_s=1.1, preemptions=9),
    ]
)
MEASURED = pd.DataFrame(
    [
        {"scenario": "vllm_chat", "choice": "offload", "stall_s": 0.25, "preemptions": 2, "busy_s": 3.0},
        {"scenario": "vllm_chat", "choice": "ours", "stall_s": 9.0, "preemptions": 9, "busy_s": 9.0},
    ]
)
EMPTY = vllm.Recorded(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
METRICS = frames.load(
    pd.DataFrame(
        [
            {"scenario": name, "prefetch": prefetch, "family": family, "level": level, "stall_s": stall_s}
            for name, left_s in (("chat", 0.2), ("vllm_chat", 0.0))
            for prefetch, family, level, stall_s in (("none", "none", "I0", 1.0), ("la_k", "schedule", "I4", left_s))
        ]
    ).assign(sweep="main", demand="D-step", eviction="lru", address="logical", recorded=False, link_scale=1.0)
)


def quoted(found, beside=()):
    return {key: (value, text) for key, value, text in vllm.values(found, METRICS, vllm.load_beside(beside))}


def test_only_cases_that_have_to_agree_count_for_the_share():
    numbers = quoted(vllm.Recorded(CONFORMANCE, CHOICES, MEASURED))
    assert numbers["vllm-steps"][0] == 100
    assert numbers["vllm-cases"][1] == "3"
    assert numbers["vllm-identical"][0] == pytest.approx(0.97)
    assert numbers["vllm-steps-public"][0] == 60
    assert numbers["vllm-identical-offload"][0] == pytest.approx(0.1)


def test_choices_are_told_over_the_default():
    numbers = quoted(vllm.Recorded(CONFORMANCE, CHOICES, MEASURED))
    assert numbers["vllm-ttft-none/chat"] == (1.5, "1.50")
    assert numbers["vllm-stored-outputs/chat"][0] == 1.5
    assert numbers["vllm-wrong-outputs/chat"] == (7.0, "7")
    assert numbers["vllm-stored-per-loaded"] == (3.0, "3.0")
    assert math.isnan(numbers["vllm-ttft-none/agent"][0])


def test_pairs_are_quoted_side_by_side():
    numbers = quoted(EMPTY)
    value, text = numbers["vllm-plan/chat"]
    assert value == 1.0
    assert text.count("and") == 1
    assert math.isnan(numbers["vllm-apart"][0])


def test_how_far_they_are_apart_is_of_the_same_mode(tmp_path):
    beside = METRICS[METRICS["scenario"] == "chat"].assign(scenario="vllm_chat")
    beside.drop(columns="series").to_parquet(tmp_path / "vllm_chat.parquet")
    assert quoted(EMPTY, [tmp_path / "vllm_chat.parquet"])["vllm-apart"][0] == pytest.approx(0.2)


def test_the_same_keys_are_there_whether_anything_is_shipped_or_not():
    assert quoted(EMPTY).keys() == quoted(vllm.Recorded(CONFORMANCE, CHOICES, MEASURED)).keys()


def test_what_a_gpu_measured_is_of_vllm_and_not_of_ours():
    numbers = quoted(vllm.Recorded(CONFORMANCE, CHOICES, MEASURED))
    assert numbers["vllm-measured-stall/chat"] == (0.25, "250\\,ms")
    assert numbers["vllm-measured-preempted/chat"] == (2.0, "2")
    assert math.isnan(numbers["vllm-measured-busy-async/chat"][0])


def test_tables_have_a_row_a_class_and_a_choice():
    found = vllm.Recorded(CONFORMANCE, CHOICES, MEASURED)
    table = vllm.conformance(found)
    assert table.index("sessions") < table.index("all that have to agree") < table.index("offload")
    columns = ["series", "demand", "eviction", *CHOICES.columns]
    serve = pd.DataFrame([{**choice(""), "series": "none", "demand": "D-async", "eviction": "lru"}])[columns]
    rows = vllm.choices(found, serve)
    assert rows.count("vLLM, ") == len(CHOICES)
    assert "ours, load at admission" in rows


def test_a_file_that_was_changed_is_refused(tmp_path):
    folder = tmp_path / "choices"
    folder.mkdir()
    CHOICES.to_parquet(folder / "choices.parquet")
    (folder / "provenance.json").write_text('{"files": {"choices.parquet": "0"}}')
    with pytest.raises(PagedKVError, match="does not match the checksum"):
        vllm.load(tmp_path)
