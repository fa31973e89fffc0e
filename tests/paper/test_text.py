"""What LaTeX gets: escaping, rounding, tables, and sources in which no number from data is typed."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import claims, numbers, provenance, tables, tex

UNIT = r"(?:\\?%|\\percent|(?:[kKMGT]i?B(?:/s)?|ms|min|[nu]s|s|x)\b|\$?\\times|\\textmu)"
TYPED = re.compile(rf"\d[\d.,]*(?:\\,|~|\s|\$)*{UNIT}")
EXEMPT = re.compile(r"\\(?:setting|lit|val|cite[pt]?|cref|Cref|label|ref|url|href)\s*\{(?:[^{}]|\{[^{}]*\})*\}")
LAYOUT = re.compile(r"\[[^\]]*\]|\\(?:includegraphics|resizebox|begin|setlength|hypertarget|sourcerow|vspace)\b[^\n]*")


def _sources(report):
    return [report / "report.tex", *sorted((report / "sections").glob("*.tex"))]


def _body(path):
    text = re.sub(r"(?<!\\)%.*", "", path.read_text())
    return text.split(r"\begin{document}")[-1]


def test_the_gain_of_batching_is_that_of_runs_over_the_same_steps(metrics, serve):
    """Bug: it was the whole trace under D-step against the beginning of it under D-page."""
    head = metrics["sweep"] == "demand"
    frame = metrics.assign(steps=metrics["steps"].where(~head, 100))
    made = numbers.values(numbers.Inputs(frame, serve, [], {}))
    assert made["batching-removed-max"]["value"] == pytest.approx(1 - 1 / 3)


def test_no_number_from_data_is_typed(report):
    for path in _sources(report):
        text = LAYOUT.sub("", EXEMPT.sub("", _body(path)))
        if "tikzpicture" in text:
            text = re.sub(r"\\begin\{tikzpicture\}.*?\\end\{tikzpicture\}", "", text, flags=re.DOTALL)
        found = TYPED.search(text)
        assert found is None, f"{path.name}: '{found[0]}' is typed; quote it with \\val, or mark it \\lit or \\setting"


@pytest.mark.parametrize("text", [r"removes 45\,\% of", "takes 3.2 ms", r"at 55.3\,GB/s", r"$2\times$ faster", "12 s "])
def test_the_scan_finds_typed_numbers(text):
    assert TYPED.search(LAYOUT.sub("", EXEMPT.sub("", text)))


def test_every_key_that_the_text_quotes_is_made(report, small, serve):
    made = numbers.values(numbers.Inputs(small, serve, [], {}))
    for path in _sources(report):
        for key in re.findall(r"\\val\{([^}]*)\}", _body(path)):
            assert key in made, f"{path.name} quotes '{key}', which pagedkv.paper.numbers does not make"


def test_every_claim_that_the_text_names_is_there(report):
    known = {c["id"] for c in claims.read(report / "claims.yaml")}
    named = set()
    for path in _sources(report):
        named |= set(re.findall(r"\\(?:claim|verdict|claimvalue)\{([^}]*)\}", _body(path)))
    assert named <= known
    abstract = (report / "sections" / "abstract.tex").read_text()
    assert len(re.findall(r"\\claim\{", abstract)) >= 6


def test_every_citation_is_in_the_bibliography(report):
    known = re.findall(r"^@\w+\{([^,]+),", (report / "refs.bib").read_text(), re.MULTILINE)
    cited = {
        k
        for p in _sources(report)
        for ks in re.findall(r"\\cite[pt]?\{([^}]*)\}", p.read_text())
        for k in ks.split(",")
    }
    assert cited == set(known)
    assert len(known) == len(set(known))


def test_values_of_numbers(metrics, serve):
    made = numbers.values(
        numbers.Inputs(metrics, serve, [{"verdict": "holds"}], {"host_to_device": {"bytes_per_s": 55.3e9}})
    )
    assert made["scenarios"]["text"] == "7"
    assert made["scenarios-recorded"]["text"] == "2"
    assert made["claims-holds"]["text"] == "1"
    assert made["link-bandwidth"]["text"] == r"55.3\,GB/s"
    assert made["physical-coverage-max"]["text"] == r"4.0\,\%"
    assert made["rho/rotation"]["value"] == pytest.approx(0.6)
    assert made["rho/fits"]["text"] == tex.MISSING


def test_numbers_of_a_build_without_rows(small, serve):
    made = numbers.values(numbers.Inputs(small.iloc[:0], serve.iloc[:0], [], {}))
    assert made["os-accuracy-median"] == {"value": None, "text": tex.MISSING}


def test_numbers_files(small, serve, tmp_path):
    (tmp_path / "cal.json").write_text("{}")
    files = tmp_path / "n.tex", tmp_path / "n.json"
    numbers.write(numbers.Inputs(small, serve, calibration=tmp_path / "cal.json"), *files)
    assert r"\pkvdefnumber{claims}{0}" in (tmp_path / "n.tex").read_text()
    with pytest.raises(PagedKVError, match="not a readable JSON"):
        numbers.write(numbers.Inputs(small, serve, claims=tmp_path / "no"), *files)


@pytest.mark.parametrize(
    "value, text",
    [(0.0213, r"2.1\,\%"), (0.5, r"50\,\%"), (0.0995, r"10\,\%"), (-0.02, r"$-$2.0\,\%"), (-1e-9, r"0\,\%"),
     (0.0001, r"0.01\,\%"), (np.nan, tex.MISSING), (1.239, r"124\,\%")],
)  # fmt: skip
def test_percent(value, text):
    assert tex.percent(value) == text


@pytest.mark.parametrize(
    "value, text",
    [(8e-6, r"8.00\,\textmu{}s"), (0.0421, r"42.1\,ms"), (3.5, r"3.50\,s"), (600, r"10.0\,min"), (0, r"0\,s"),
     (float("inf"), tex.MISSING)],
)  # fmt: skip
def test_seconds(value, text):
    assert tex.seconds(value) == text


def test_escape():
    assert tex.escape(r"a_b & 50% {x} \n $1 #2 ~^ <k>") == (
        r"a\_b \& 50\% \{x\} \textbackslash{}n \$1 \#2 \textasciitilde{}\textasciicircum{} "
        r"\textless{}k\textgreater{}"
    )


def test_tables_escape_names_and_mark_the_recorded(metrics, serve, tmp_path):
    odd = metrics.replace({"scenario": {"rotation": "50%_a&b"}})
    tables.write(odd, serve, tmp_path)
    text = {path.stem: path.read_text() for path in tmp_path.glob("*.tex")}
    assert set(text) >= {"policies", "scenarios", "serve", "bounds", "summary", "real"}
    assert r"50\%\_a\&b" in text["policies"]
    assert "azure-conv (recorded)" in text["real"]
    for body in text.values():
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len({row.count(" & ") for row in rows}) == 1
        assert "nan" not in body


def test_tables_of_a_build_without_rows(small, serve, tmp_path):
    tables.write(small.iloc[:0], serve.iloc[:0], tmp_path)
    assert "no rows in this build" in (tmp_path / "policies.tex").read_text()


def test_gpu_with_the_ratio_of_a_scenario():
    row = pd.DataFrame({"peak_live_blocks": [10_000], "block_bytes": [2 * 2**20], "rate_scale": [0.5]})
    ratios = tables.gpu_ratios(next(row.itertuples()))
    # At the true rate twice 10,000 blocks of 2 MiB = 41.9 GB are live. H200: 0.9 x 141 - 16.06 = 110.84 GB.
    assert ratios["H200"] == pytest.approx(110.84e9 / (20_000 * 2 * 2**20))
    assert tables.gpu_ratios(next(row.assign(weights_bytes=30e9).itertuples()))["A10"] == 0


@pytest.mark.parametrize(
    "pair, name",
    [
        (("azure_conv_real", False), "azure_conv"),
        (("azure_conv", False), None),
        (("mooncake_conversation", True), "chat"),
        (("agent_sessions", True), "agent"),
        (("azure_code_real", True), "code"),
        (("rotation", False), None),
    ],
)
def test_twins(pair, name):
    assert tables.twin(pair) == name


def test_provenance_is_latex(tmp_path):
    provenance.write(tmp_path / "p.tex")
    text = (tmp_path / "p.tex").read_text()
    assert text.count(r"\newcommand") == len(provenance.facts())
    assert r"\pkvcommit" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
def test_unknown_key_stops_the_build_with_its_name(report, tmp_path):
    (tmp_path / "t.tex").write_text(
        r"\documentclass{article}\usepackage{hyperref}\newcommand{\pkvrepository}{}\usepackage{provenance}"
        r"\pkvdefnumber{here}{1}\begin{document}\section{\val{here}}\val{not-here}\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path, env={"TEXINPUTS": f"{report}:", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Unknown number 'not-here'" in done.stdout
