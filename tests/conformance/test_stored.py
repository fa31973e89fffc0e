"""What is kept of vLLM's steps comes back as it was, and only for the case that it was recorded of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pagedkv.cli import main
from pagedkv.conformance import table as rows_of
from pagedkv.conformance.cases import read_cases
from pagedkv.conformance.compare import compare
from pagedkv.conformance.requests import requests_of
from pagedkv.conformance.run import run_ours
from pagedkv.conformance.steps import KEPT, kept
from pagedkv.conformance.stored import StoredSteps, write_steps
from pagedkv.errors import PagedKVError

CASES = read_cases(["tests/conformance/cases/aborts.yaml"])[:3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Steps of three cases, as if vLLM had taken ours; and the comparison that wrote them."""

    def ours(case, requests):
        trace = run_ours(case, requests)
        return replace(trace, header={**trace.header, "versions": {"vllm": "of a test"}})

    monkeypatch.setattr(rows_of, "run_vllm", ours)
    comparison = rows_of.Comparison(tmp_path, {})
    rows = comparison.rows(CASES)
    write_steps(tmp_path / "kept", rows, comparison.steps, comparison.versions)
    return tmp_path / "kept"


def ours_of(case):
    return kept(run_ours(case, requests_of(case, Path(), {})))


def test_steps_come_back_case_by_case(folder):
    stored = StoredSteps(folder)
    for case in CASES:
        ours, theirs = ours_of(case), stored.steps(case)
        for name, columns in KEPT.items():
            assert all(np.array_equal(ours[name][column], theirs[name][column]) for column in columns)
        assert compare(ours, theirs).difference == ""


def test_equal_steps_are_equal_bytes(folder, tmp_path):
    stored = StoredSteps(folder)
    rows = stored.rows.drop(columns="number")
    write_steps(tmp_path / "again", rows, {case.name: stored.steps(case) for case in CASES}, {"vllm": "of a test"})
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_case_that_was_changed_or_never_recorded_is_refused(folder):
    stored = StoredSteps(folder)
    changed = replace(CASES[0], engine=replace(CASES[0].engine, max_num_seqs=1))
    with pytest.raises(PagedKVError, match="it was changed after vLLM's steps were recorded; record it again"):
        stored.steps(changed)
    with pytest.raises(PagedKVError, match="case 'new': .* has no steps of vLLM"):
        stored.steps(replace(CASES[0], name="new"))


def test_a_file_that_was_changed_is_refused(folder):
    path = folder / "reads.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(PagedKVError, match="does not match the checksum"):
        StoredSteps(folder)


def test_the_verb_writes_a_row_a_case_and_says_how_many_agree(at_root, tmp_path, capsys):
    out = tmp_path / "rows.parquet"
    files = ["tests/conformance/cases/exact-blocks.yaml", "tests/conformance/cases/public.yaml"]
    assert main(["conformance", *files, "--against", "recorded", "--out", str(out)]) == 0
    rows = pd.read_parquet(out)
    assert len(rows) == len(read_cases(files)) and (rows["steps"] == rows["identical_steps"]).all()
    assert rows["recorded"].tolist() == (rows["source"] != "").tolist()
    said = capsys.readouterr().out
    assert "exact-blocks/prompt-of-one-block: 4 of 4 steps" in said and f"{len(rows)} of {len(rows)} do" in said


def test_a_difference_is_printed_and_counted(at_root, tmp_path, capsys, monkeypatch):
    """The pool hands free slots out in another order."""
    from pagedkv.engine.pool import Pool

    place = Pool.place
    monkeypatch.setattr(Pool, "place", lambda self, contents: place(self, contents[::-1])[::-1])
    files = ["tests/conformance/cases/exact-blocks.yaml"]
    assert main(["conformance", *files, "--against", "recorded", "--out", str(tmp_path / "rows.parquet")]) == 0
    said = capsys.readouterr().out
    assert "; step 0: blocks: request 0, block 0, slot " in said and "; vLLM: request 0, block 0, slot 1" in said


def test_keep_and_against_recorded_exclude_each_other(at_root, tmp_path, capsys):
    options = ["--against", "recorded", "--keep", str(tmp_path), "--out", str(tmp_path / "rows.parquet")]
    assert main(["conformance", *options]) == 2
    assert "--keep writes what vLLM does here" in capsys.readouterr().err
