"""Every column that a run produces is defined, in one place, and docs/metrics.md says the same."""

from pagedkv.metric.decision_cost import COLUMNS
from pagedkv.metric.glossary import FILES, RUNS, SERVE, columns, markdown
from pagedkv.metric.replay import TraceRuns
from pagedkv.metric.serve import serve_rows
from tests.metric import small


def test_the_document_is_current(repository):
    current = (repository / "docs/metrics.md").read_text()
    assert current == markdown(), "run: ./lab pagedkv list --metrics > docs/metrics.md"


def test_every_column_of_a_replay_is_defined_and_no_other():
    settings = small.replay_settings(policies=[{"prefetch": "none"}], evictions=["lru"])
    (row,) = TraceRuns(small.trace(3), "0" * 64, small.calibration(), settings).rows()
    assert set(columns(RUNS)) == {*row, "recorded", *COLUMNS}


def test_every_column_of_a_closed_loop_is_defined_and_no_other():
    settings = {"scenario": "toy", "seed": 3, "engine": small.ENGINE}
    settings["serve"] = [{"prefetch": "none", "eviction": "lru", "demand": "D-step"}]
    (row,) = serve_rows(small.table(3), settings, small.TINY, small.calibration())
    assert set(columns(SERVE)) == {*row, "recorded"}


def test_every_definition_is_one_sentence_with_a_unit():
    for sections in FILES.values():
        for column in columns(sections).values():
            assert column.unit, column.name
            assert column.text.endswith("."), column
            assert "|" not in column.text + column.symbol
