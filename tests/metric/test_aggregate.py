"""All runs in one file, beside the shipped ones, and how results are shipped."""

import hashlib
import json

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.metric.aggregate import aggregate, read_rows, write_rows
from pagedkv.metric.ship import ship


def rows(**stall_s):
    return pd.DataFrame({"scenario": list(stall_s), "stall_s": list(stall_s.values()), "label": "none"})


def short(frame):
    return list(frame[["scenario", "stall_s", "recorded"]].itertuples(index=False, name=None))


@pytest.fixture
def recorded(tmp_path):
    """A folder as `ship` makes it, with rows of the scenarios `old` and `chat`."""
    for name in ("runs", "serve"):
        write_rows(rows(old=7.0, chat=8.0).assign(recorded=False), tmp_path / f"all_{name}.parquet")
    files = (tmp_path / "all_runs.parquet", tmp_path / "all_serve.parquet")
    ship(*files, ["old", "chat"], tmp_path / "recorded", "snakemake real")
    return tmp_path / "recorded"


@pytest.fixture
def fresh(tmp_path):
    paths = [tmp_path / "chat.parquet", tmp_path / "fits.parquet"]
    write_rows(rows(chat=1.0), paths[0])
    write_rows(rows(fits=2.0), paths[1])
    return paths


def test_without_recorded_rows_the_files_follow_each_other(fresh, tmp_path):
    assert short(aggregate(fresh, None, "runs")) == [("chat", 1.0, False), ("fits", 2.0, False)]
    assert len(aggregate(fresh, tmp_path / "nothing", "runs")) == 2


@pytest.mark.parametrize("kind", ["runs", "serve"])
def test_recorded_rows_are_marked_and_dropped_where_the_scenario_was_run_now(fresh, recorded, kind):
    made = aggregate(fresh, recorded, kind)
    assert short(made) == [("chat", 1.0, False), ("fits", 2.0, False), ("old", 7.0, True)]


def test_nothing_recorded_is_left_when_all_was_run_now(tmp_path, recorded):
    write_rows(rows(chat=1.0, old=2.0), tmp_path / "all.parquet")
    assert short(aggregate([tmp_path / "all.parquet"], recorded, "runs")) == [("chat", 1.0, False), ("old", 2.0, False)]


def test_rows_that_were_changed_after_they_were_recorded_are_refused(fresh, recorded):
    write_rows(rows(old=0.0), recorded / "runs.parquet")
    with pytest.raises(PagedKVError, match=r"runs\.parquet: does not match the checksum in .*provenance\.json"):
        aggregate(fresh, recorded, "runs")


@pytest.mark.parametrize("text", [None, "not json", '{"files": {}}', "[]"])
def test_rows_that_nobody_vouches_for_are_refused(fresh, recorded, text):
    provenance = recorded / "provenance.json"
    provenance.unlink() if text is None else provenance.write_text(text)
    with pytest.raises(PagedKVError, match=r"provenance\.json: does not vouch for runs\.parquet"):
        aggregate(fresh, recorded, "runs")


def test_equal_rows_are_equal_bytes(tmp_path):
    write_rows(rows(chat=1.0), tmp_path / "a")
    write_rows([{"scenario": "chat", "stall_s": 1.0, "label": "none"}], tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_no_runs_file_is_told_in_one_line(tmp_path):
    (tmp_path / "bad").write_text("PAR1 but no more")
    for name in ("bad", "absent"):
        with pytest.raises(PagedKVError, match=f"{name}: (not a runs file|cannot be read)") as told:
            read_rows(tmp_path / name)
        assert "\n" not in str(told.value)


def test_what_is_shipped_comes_back_and_says_where_it_is_from(recorded):
    provenance = json.loads((recorded / "provenance.json").read_text())
    assert provenance["command"] == "snakemake real"
    assert provenance["scenarios"] == ["old", "chat"]
    assert {"commit", "python", "machine", "versions", "origin", "uncommitted_changes"} <= set(provenance)
    assert set(provenance["files"]) == {"runs.parquet", "serve.parquet"}
    for name, digest in provenance["files"].items():
        assert hashlib.sha256((recorded / name).read_bytes()).hexdigest() == digest
    pd.testing.assert_frame_equal(read_rows(recorded / "runs.parquet"), rows(old=7.0, chat=8.0))


def test_only_what_was_asked_for_and_run_now_is_shipped(tmp_path, fresh, recorded):
    write_rows(aggregate(fresh, recorded, "runs"), tmp_path / "all.parquet")
    ship(tmp_path / "all.parquet", tmp_path / "all.parquet", ["fits"], tmp_path / "again", "me")
    assert read_rows(tmp_path / "again/serve.parquet")["scenario"].tolist() == ["fits"]
    with pytest.raises(PagedKVError, match="scenario 'old' was not run now"):
        ship(tmp_path / "all.parquet", tmp_path / "all.parquet", ["fits", "old"], tmp_path / "third", "me")


def test_nothing_is_shipped_when_only_one_of_the_files_has_the_scenario(tmp_path, fresh):
    """Bug: the runs were written before the closed loop's rows were looked at."""
    for number, name in enumerate(("all_runs", "all_serve")):
        write_rows(aggregate([fresh[number]], None, "runs"), tmp_path / f"{name}.parquet")
    with pytest.raises(PagedKVError, match="scenario 'chat' was not run now"):
        ship(tmp_path / "all_runs.parquet", tmp_path / "all_serve.parquet", ["chat"], tmp_path / "out", "me")
    assert not (tmp_path / "out").exists()
