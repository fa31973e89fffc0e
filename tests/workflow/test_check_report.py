"""What `.ci/check_report.py` accepts and what it finds wrong."""

import importlib.util

import pytest

FIGURES = ["anatomy", "timeliness"]
FILES = "INPUT results/smoke/figures/anatomy.pdf\nINPUT results/smoke/figures/timeliness.pdf\n"


@pytest.fixture(scope="module")
def problems(repository):
    specification = importlib.util.spec_from_file_location("check_report", repository / ".ci/check_report.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.problems


@pytest.fixture
def pages():
    return ["Title", "Figure 1: Anatomy.", "left column      Figure 2: Timeliness.", "text", "text", "References"]


def test_a_complete_report_has_no_problems(problems, pages):
    log = "LaTeX Font Info: undefined shape replaced\nOutput written on report.pdf (6 pages)."
    assert problems(pages, log, FILES, FIGURES) == []


def test_missing_and_blank_pages_are_found(problems, pages):
    assert problems(pages[:5], "", FILES, FIGURES) == ["5 pages, at least 6 are expected"]
    pages[3] = "\f\n"
    assert problems(pages, "", FILES, FIGURES) == ["page 4 has no text"]


def test_a_figure_that_is_configured_but_not_included_is_found(problems, pages):
    assert problems(pages, "", FILES.splitlines()[0], FIGURES) == ["figure timeliness is not in the report"]
    pages[1] = "see Figure 1 and Figure 2"
    assert problems(pages, "", FILES, FIGURES) == ["1 figure captions for 2 figures"]


@pytest.mark.parametrize("line", ["as Figure ?? shows", "a known result [?]", "known [?, 3]"])
def test_an_open_reference_in_the_text_is_found(problems, pages, line):
    assert problems([*pages, line], "", FILES, FIGURES) == [f"an open reference in the text: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "LaTeX Warning: Reference `fig:x' on page 1 undefined on input line 3.",
        "Package natbib Warning: Citation `x' on page 1 undefined on input line 3.",
        "LaTeX Warning: There were undefined references.",
        "LaTeX Warning: Label `fig:x' multiply defined.",
    ],
)
def test_an_open_reference_in_the_log_is_found(problems, pages, line):
    assert problems(pages, line, FILES, FIGURES) == [f"LaTeX: {line}"]
