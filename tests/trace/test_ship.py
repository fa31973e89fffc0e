"""Shipping of traces: only those of a GPU, only of our own workloads, and with sums that are checked afterwards."""

import json

import pytest

from pagedkv import storage
from pagedkv.cli import main
from pagedkv.errors import PagedKVError
from pagedkv.trace import read, write
from pagedkv.trace.ship import ship
from pagedkv.trace.shipped import path_of
from tests.trace.toy import assert_equal, toy_trace

GPU = {"name": "a GPU", "driver": "1.2"}
EMBEDDED = {"generator": "fits", "parameters": {"seed": 1}}


@pytest.fixture
def recorded(tmp_path):
    """Writes a trace as a GPU machine without pyarrow would; returns its path."""

    def make(scenario="fits", origin="cuda", workload=EMBEDDED):
        trace = toy_trace()
        trace.header.update(scenario=scenario, origin=origin, workload=workload, device=GPU)
        write(trace, tmp_path / "recorded" / f"{scenario}.kvtrace", storage.NPZ)
        return tmp_path / "recorded" / f"{scenario}.kvtrace"

    return make


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shipped"


def provenance(folder):
    return json.loads((folder / "provenance.json").read_text())


def test_a_shipped_trace_is_parquet_and_says_where_it_was_recorded(recorded, folder, capsys):
    source = recorded()
    assert main(["ship-traces", str(source), "--out", str(folder)]) == 0
    assert str(folder / "fits.kvtrace") in capsys.readouterr().out
    assert_equal(read(folder / "fits.kvtrace"), read(source), header=False)
    assert set(read(folder / "fits.kvtrace").header["tables"]) == {
        f"{name}.parquet" for name in ("steps", "reads", "tables", "transfers", "events", "plans", "requests")
    }
    said = provenance(folder)["traces"]["fits"]
    assert said["device"] == GPU and said["workload"] == EMBEDDED and said["origin"] == "cuda"
    assert main(["verify", "--shipped", str(folder / "fits.kvtrace")]) == 0


def test_a_changed_trace_is_one_line(recorded, folder, capsys):
    """A sound trace file, but another one than was shipped."""
    ship([recorded()], folder)
    trace = read(folder / "fits.kvtrace")
    trace.steps["compute_us"] = trace.steps["compute_us"] + 1
    write(trace, folder / "fits.kvtrace")
    capsys.readouterr()
    assert main(["verify", str(folder / "fits.kvtrace")]) == 0
    assert main(["verify", "--shipped", str(folder / "fits.kvtrace")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "does not match the checksum" in line


def test_one_scenario_after_the_other(recorded, folder):
    ship([recorded("fits"), recorded("code")], folder)
    before = provenance(folder)
    assert ship([recorded("code"), recorded("chat")], folder) == [path_of(n, folder) for n in ("code", "chat")]
    after = provenance(folder)
    assert set(after["files"]) == {"fits.kvtrace", "code.kvtrace", "chat.kvtrace"}
    assert after["files"]["fits.kvtrace"] == before["files"]["fits.kvtrace"]


def test_what_lies_there_changed_is_not_vouched_for_anew(recorded, folder):
    ship([recorded("fits")], folder)
    write(toy_trace(), folder / "fits.kvtrace")
    with pytest.raises(PagedKVError, match=r"fits\.kvtrace: does not match the checksum"):
        ship([recorded("code")], folder)
    assert list(provenance(folder)["files"]) == ["fits.kvtrace"]
    ship([recorded("fits")], folder)  # recording it again settles it


@pytest.mark.parametrize(
    "changes, cause",
    [
        ({"origin": "simulated"}, "a trace of origin 'simulated'; only those of a GPU or of vLLM are shipped"),
        ({"workload": {"source": "azure-code"}}, "holds requests of the public source 'azure-code'"),
        ({"workload": {}}, "holds requests of the public source 'unknown'"),
    ],
)
def test_what_may_not_be_shipped_is_refused_before_anything_is_written(recorded, folder, changes, cause):
    good, bad = recorded("code"), recorded("fits", **changes)
    with pytest.raises(PagedKVError, match=cause):
        ship([good, bad], folder)
    assert not folder.exists()


def test_without_pyarrow_it_says_so(recorded, folder, monkeypatch):
    source = recorded()
    monkeypatch.setattr(storage, "has_pyarrow", lambda: False)
    with pytest.raises(PagedKVError, match="needs pyarrow"):
        ship([source], folder)
