"""Tables of both engines on a GPU: what is shipped is printed, and nothing where nothing is shipped."""

import json

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import vllm_gpu


def shipped(folder, name, *rows):
    (folder / "benchmark").mkdir(exist_ok=True)
    (folder / "benchmark" / f"{name}.json").write_text(json.dumps({"rows": rows, "provenance": {}}))


def test_a_row_a_quantity_with_its_unit_and_both_runs(tmp_path):
    row = {"what": "decode step ms, batch 64", "ours": 9.0, "vllm": 10.0, "ratio": 0.9}
    before = {"what": "before the scheduler ms, 8192 tokens", "ours": None, "vllm": 2.0, "ratio": None}
    shipped(tmp_path, "together", row, before)
    shipped(tmp_path, "apart", row | {"ratio": 1.1})
    lines = vllm_gpu.side_by_side(tmp_path).splitlines()
    decode = next(line for line in lines if line.startswith("decode step, batch 64"))
    assert decode.count("0.90") == 1 and decode.count("1.1") == 1
    assert any(line.startswith("before the scheduler, 8192 tokens") for line in lines)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "together.json").write_text("{}")
    with pytest.raises(PagedKVError, match="not what benchmarks/vllm.py writes"):
        vllm_gpu.side_by_side(tmp_path)


def test_measured_runs_stand_above_the_same_settings_modelled():
    times = ("busy_s", "ttft_mean_s", "ttft_p99_s", "tpot_p50_s", "decode_step_s", "prompt_step_s", "stall_s")
    run = dict.fromkeys(times, 1.0) | {"h2d_bytes": 2e9, "preemptions": 3, "observing_s": 0.02}
    rows = [{"scenario": "vllm_chat", "choice": choice, **run} for choice in ("offload", "ours")]
    table = vllm_gpu.measured(pd.DataFrame(rows), pd.DataFrame(rows[:1]))
    places = [table.index(text) for text in ("vLLM, offload, measured", "vLLM, offload, modelled", "ours, measured")]
    assert places == sorted(places)


def test_nothing_shipped_is_a_table_without_rows():
    assert "measured" not in vllm_gpu.measured(pd.DataFrame(), pd.DataFrame())
    assert "batch" not in vllm_gpu.side_by_side(None)
