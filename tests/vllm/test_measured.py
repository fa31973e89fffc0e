"""Rows of what a GPU measured: vLLM under the name of its settings, our engine under the name of vLLM's scenario."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

from pagedkv import trace as traces
from pagedkv.errors import PagedKVError
from pagedkv.recorded import vouched
from pagedkv.vllm.measured import measured_row, write_measured
from pagedkv.vllm.settings import VllmSettings
from tests.engine.build import record, table


@pytest.fixture(scope="module")
def made():
    return record(table([{"prompt": 40, "output": 5}, {"prompt": 70, "output": 9}]))[0]


def written(path, trace, **header):
    versions = {"pagedkv": "9.9"}
    common = {"scenario": "toy", "block_bytes": 4096, "versions": versions}
    traces.write(replace(trace, header={**trace.header, **common, **header}), path)
    return path


def of_vllm(settings):
    return {"version": "0.0", "settings": asdict(settings)}


def test_our_run_is_beside_the_scenario_of_vllm(made, tmp_path):
    row = measured_row(written(tmp_path / "a.kvtrace", made, origin="cuda"))
    assert (row["scenario"], row["choice"], row["version"], row["observing_s"]) == ("vllm_toy", "ours", "9.9", 0.0)
    assert row["requests"] == 2


@pytest.mark.parametrize(
    "settings, choice",
    [
        (VllmSettings(offload="lru"), "offload"),
        (VllmSettings(offload="lru", async_scheduling=True), "asynchronous"),
        (VllmSettings(offload="arc", store_threshold=7), "other settings"),
    ],
)
def test_a_run_of_vllm_has_the_name_of_its_settings(made, tmp_path, settings, choice):
    about = {"origin": "vllm-cuda", "scenario": "vllm_toy", "vllm": of_vllm(settings), "observing_s": 0.25}
    row = measured_row(written(tmp_path / "a.kvtrace", made, **about))
    assert (row["scenario"], row["choice"], row["version"], row["observing_s"]) == ("vllm_toy", choice, "0.0", 0.25)
    assert json.loads(row["settings"]) == asdict(settings)


@pytest.mark.parametrize("origin", ["simulated", "vllm-cpu"])
def test_what_no_gpu_measured_is_refused(made, tmp_path, origin):
    with pytest.raises(PagedKVError, match=f"a trace of origin '{origin}'; only what a GPU measured belongs here"):
        measured_row(written(tmp_path / "a.kvtrace", made, origin=origin))


def test_rows_and_traces_beside_them_are_vouched_for(made, tmp_path):
    folder = tmp_path / "measured"
    folder.mkdir()
    kept = written(folder / "kept.kvtrace", made, origin="vllm-cuda", vllm=of_vllm(VllmSettings(offload="lru")))
    ours = written(tmp_path / "ours.kvtrace", made, origin="cuda")
    rows = pd.read_parquet(vouched(write_measured(folder, [ours, kept])))
    assert rows["choice"].tolist() == ["offload", "ours"]
    assert vouched(kept) == kept
    assert set(json.loads((folder / "provenance.json").read_text())["traces"]) == {str(ours), str(kept)}


def test_what_ships_is_what_its_traces_say(repository):
    folder = repository / "recorded/vllm/measured"
    rows = pd.read_parquet(vouched(folder / "measured.parquet"))
    names = json.loads((folder / "provenance.json").read_text())["traces"]
    again = pd.DataFrame([measured_row(repository / name) for name in names])
    columns = ["scenario", "choice"]
    again = again.sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(rows.sort_values(columns, ignore_index=True), again, check_like=True)
