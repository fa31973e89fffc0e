"""Every figure draws whatever a build may bring, the same bytes each time, with colours that stay."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import figures, frames, style
from pagedkv.paper.figures import closed_loop, timeliness

NAMES = figures.names()


def _draw(name, metrics, serve, trace, tmp_path):
    """Draw and save; layout happens at saving, so drawing alone would prove little."""
    pdf, png = tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
    style.save(figures.draw(name, metrics, serve, trace), pdf, png)
    assert png.stat().st_size > 1000
    return pdf.read_bytes()


def test_all_figures_of_the_report_exist(report):
    included = set((report / "report.tex").parent.rglob("*.tex"))
    text = "".join(path.read_text() for path in included)
    assert set(NAMES) == {n for n in NAMES if f"figures/{n}.pdf" in text}


@pytest.mark.parametrize("name", NAMES)
def test_draws_one_scenario_and_equal_bytes(name, small, serve, made, tmp_path):
    trace = made["trace"]()
    first = _draw(name, small, serve, trace, tmp_path)
    assert first == _draw(name, small, serve, trace, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_draws_rows_with_gaps(name, small, serve, tmp_path):
    frame = small[small["prefetch"].isin(["none", "la_k"])].head(6).copy()
    for column in ("stall_removed_lo", "stall_removed_hi", "bound_s", "accuracy", "coverage", "rho", "level"):
        frame[column] = np.nan
    _draw(name, frame, serve.head(2).assign(ttft_p99_s=np.nan), None, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_draws_no_rows_at_all(name, small, serve, tmp_path):
    _draw(name, small.iloc[:0], serve.iloc[:0], None, tmp_path)


@pytest.mark.parametrize("name", ["value_of_information", "stall_against_rho"])
def test_draws_many_policies_and_marks_the_recorded(name, metrics, serve):
    extra = [metrics.assign(prefetch=f"new_{i}", label=f"new {i}") for i in range(3)]
    figure = figures.draw(name, pd.concat([metrics, *extra]), serve)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "recorded" in labels
    assert "bound" in labels
    plt.close(figure)


@pytest.mark.parametrize("name", ["fidelity", "value_measured"])
def test_draws_the_simulator_beside_a_gpu(name, fidelity, tmp_path):
    drawn = figures.draw(name, None, None, fidelity=fidelity)
    assert len(drawn.axes) >= 2
    assert "LA-8 stay, lru" in [text.get_text() for text in drawn.legends[0].get_texts()]
    files = [(tmp_path / f"{n}.pdf", tmp_path / f"{n}.png") for n in (1, 2)]
    for pdf, png in files:
        style.save(figures.draw(name, None, None, fidelity=fidelity), pdf, png)
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    one = fidelity[fidelity["kind"].isin(["closed", "pinned"])].groupby("kind").head(1)
    style.save(figures.draw(name, None, None, fidelity=one), *files[0])
    plt.close(drawn)


def test_unknown_figure_is_told_by_name(small, serve):
    with pytest.raises(PagedKVError, match="figure 'nonsense' is unknown"):
        figures.draw("nonsense", small, serve)


def test_colours_stay_when_a_policy_is_added():
    before = style.palette(["none", "la_k", "next_n", "zeta"])
    after = style.palette(["none", "la_k", "next_n", "zeta", "zeta_two"])
    assert before == {name: after[name] for name in before}
    assert style.palette(["b", "a"]) == {"a": style.SPARE[0], "b": style.SPARE[1]}
    assert len(set(style.KNOWN.values()) | set(style.SPARE)) == len(style.KNOWN) + len(style.SPARE)


def test_parts_of_issued_sum_to_one_even_if_counts_overlap():
    row = pd.Series({"issued": 10, "useful": 8, "timely": 8, "late": 3, "same_step": 6, "early": 1, "unused": 2})
    parts = timeliness.shares(row)
    assert sum(parts.values()) == pytest.approx(1)
    assert parts == pytest.approx({"timely": 0, "same step": 0.6, "late": 0.2, "early": 0.1, "unused": 0.1})


def test_closed_loop_is_relative_to_the_same_demand_mode(serve):
    other = serve.assign(demand="D-async", ttft_p50_s=serve["ttft_p50_s"] * 10)
    rows = frames.relative(frames.load(pd.concat([serve, other])), closed_loop.PANELS)
    assert rows.groupby("demand")["ttft_p50_s"].mean().nunique() == 1
    assert (rows["kind"] != "none").all()


def test_render_reads_files(small, serve, tmp_path):
    small.to_parquet(tmp_path / "m.parquet")
    serve.to_parquet(tmp_path / "s.parquet")
    out = tmp_path / "deep" / "f.pdf"
    figures.render("closed_loop", tmp_path / "m.parquet", tmp_path / "s.parquet", None, out, tmp_path / "f.png")
    assert out.read_bytes().startswith(b"%PDF")
    with pytest.raises(PagedKVError, match="no such file"):
        figures.render("closed_loop", tmp_path / "no.parquet", tmp_path / "s.parquet", None, out, tmp_path / "f.png")
