"""Tables and numbers of the simulator beside a GPU, with rows and without."""

from __future__ import annotations

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.fidelity.bars import bar_rows
from pagedkv.fidelity.columns import frame
from pagedkv.paper import fidelity_numbers, fidelity_rows, fidelity_tables, tables, tex

TABLES = (fidelity_tables.bars, fidelity_tables.closed_runs, fidelity_tables.ablations, fidelity_tables.identity)


def quoted(rows):
    return {key: text for key, _, text in fidelity_numbers.values(fidelity_rows.load(rows))}


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_rectangular_and_never_say_nan(table, fidelity):
    for rows in (fidelity, None, frame(bar_rows([]))):
        text = table(fidelity_rows.load(rows))
        body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len({line.replace(r"\&", "").count(" & ") for line in body}) == 1
        assert "nan" not in text


def test_bars_say_kept_missed_or_not_measured(fidelity):
    text = fidelity_tables.bars(fidelity_rows.load(fidelity))
    assert text.count(r"\textsf{kept}") == 8
    worse = fidelity.copy()
    tpot = (worse["kind"] == "bar") & (worse["bar"] == "tpot")
    worse.loc[tpot, ["value", "verdict", "cause"]] = [0.2, "missed", "stall: too short by 11.0% of the elapsed time"]
    text = fidelity_tables.bars(fidelity_rows.load(worse))
    assert r"20\,\%" in text
    assert r"\textcolor{pkvrefuted}{\textsf{missed}} & stall: too short by 11.0\% of the elapsed time" in text
    assert r"\textsf{not measured}" in fidelity_tables.bars(fidelity_rows.load(frame(bar_rows([]))))


def test_ablations_take_the_worst_of_the_runs_that_they_change(fidelity):
    rows = fidelity.copy()
    first = rows.index[rows["ablation"] == "no contention"][0]
    rows.loc[first, ["matters", "tpot_off", "breaks"]] = [0.0, 9.0, 1.0]
    (line,) = [x for x in fidelity_tables.ablations(fidelity_rows.load(rows)).splitlines() if x.startswith("no con")]
    assert line.startswith("no contention & 7 of 8 & 20 & 20 & 20 &")
    assert line.endswith(r"& 7 of 7 \\")


def test_the_same_numbers_are_there_whether_anything_was_measured_or_not(fidelity):
    full, none = quoted(fidelity), quoted(None)
    assert full.keys() == none.keys()
    assert tex.MISSING not in full.values()
    assert none["fidelity-tpot"] == tex.MISSING
    assert none["fidelity-origin"].startswith("Nothing was measured on a GPU for this build")
    assert full["fidelity-origin"] == ("Measured on Toy GPU: 8 closed-loop runs and 24 replays of a pinned schedule.")
    assert full["fidelity-tpot"] == r"1.0\,\%"
    assert (full["fidelity-runs"], full["fidelity-exact"], full["fidelity-bars-kept"]) == ("8", "8", "8")


def test_the_tables_of_the_report_take_a_file(fidelity, metrics, serve, tmp_path):
    fidelity.to_parquet(tmp_path / "f.parquet")
    tables.write(metrics, serve, tmp_path, tables.More(fidelity=tmp_path / "f.parquet"))
    assert "Toy" not in (tmp_path / "fidelity_runs.tex").read_text()
    assert "LA-8 stay & lru & exact" in (tmp_path / "fidelity_runs.tex").read_text()


def test_another_file_is_told(tmp_path):
    pd.DataFrame({"kind": ["closed"]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(PagedKVError, match=r"f\.parquet: column scenario is missing"):
        fidelity_rows.load(tmp_path / "f.parquet")
    with pytest.raises(PagedKVError, match=r"no\.parquet: not a readable"):
        fidelity_rows.load(tmp_path / "no.parquet")
