"""Figures of what was measured on a GPU draw whatever part of it there is. The measurements here are made up."""

import io
import json
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from pagedkv.cli import main
from pagedkv.device.cost import EngineCost
from pagedkv.device.fit import fit_file
from pagedkv.paper import figures, measured, style
from tests.device import synthetic

NAMES = ("copy_rate", "step_time")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("measured")
    (made / "raw.json").write_text(json.dumps(synthetic.raw(0.02, repeats=2)))
    fit_file(made / "raw.json", made / "calibration.json")
    return made


def draw(name, found, tmp_path):
    pdf, png = tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
    figure = figures.draw(name, None, None, None, found)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    style.save(figure, pdf, png)
    assert png.stat().st_size > 1000
    return pdf.read_bytes(), texts


@pytest.mark.parametrize("name", NAMES)
def test_draws_equal_bytes(name, folder, tmp_path):
    assert draw(name, measured.read(folder), tmp_path) == draw(name, measured.read(folder), tmp_path)


def test_fitted_and_unseen_points_are_told_apart(folder, tmp_path):
    _, texts = draw("step_time", measured.read(folder), tmp_path)
    kinds, splits = ("decode", "prefill", "mixed"), ("fitted", "unseen")
    assert set(texts) == {f"{kind}, {split}" for kind in kinds for split in splits}


def test_what_copies_cost_the_computation_beside_them_is_drawn_where_it_was_measured(folder):
    found = measured.read(folder)
    with_price = figures.draw("copy_rate", None, None, None, found)
    assert with_price.axes[-1].get_title() == "compute meanwhile"
    alone = replace(found, raw=replace(found.raw, copies=[c for c in found.raw.copies if c.concurrent == "none"]))
    without = figures.draw("copy_rate", None, None, None, alone)
    assert len(without.axes) == len(with_price.axes) - 1
    plt.close("all")


def test_predictions_of_the_model_alone_leave_out_what_the_engine_adds(folder):
    """Bug: with the engine's own time in the calibration, every decode was predicted too long."""
    found = measured.read(folder)
    cost = replace(found.calibration.compute, engine=EngineCost(1.0, 1.0))
    engine = replace(found, calibration=replace(found.calibration, compute=cost))
    drawn = [figures.draw("step_time", None, None, None, each).axes[1] for each in (found, engine)]
    assert drawn[0].get_title() == drawn[1].get_title() != ""
    plt.close("all")


PARTS = {
    "no gather": lambda raw: {**raw, "copies": [c for c in raw["copies"] if "gather" not in c["method"]]},
    "loads alone": lambda raw: {**raw, "copies": [c for c in raw["copies"] if c["direction"] == "h2d"]},
    "without compute": lambda raw: {**raw, "copies": [c for c in raw["copies"] if c["concurrent"] == "none"]},
    "nothing to check": lambda raw: {**raw, "steps": [s for s in raw["steps"] if s["split"] == "fit"]},
    "decode alone": lambda raw: {**raw, "steps": [s for s in raw["steps"] if s["kind"] == "decode"]},
    "no copies": lambda raw: {**raw, "copies": []},
    "no steps": lambda raw: {**raw, "steps": []},
}


@pytest.mark.parametrize("part", PARTS)
def test_draws_parts_of_what_can_be_measured(part, folder, tmp_path):
    """The calibration stays that of the whole: what is recorded may be less than what was fitted."""
    raw = PARTS[part](json.loads((folder / "raw.json").read_text()))
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    (tmp_path / "calibration.json").write_bytes((folder / "calibration.json").read_bytes())
    for name in NAMES:
        figure = figures.draw(name, None, None, None, measured.read(tmp_path))
        figure.savefig(io.BytesIO(), format="pdf")
        texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        plt.close(figure)
        assert not (part == "no gather" and any("kernel" in text for text in texts))
        assert not (part == "without compute" and "while the GPU computes" in texts)


@pytest.mark.parametrize("name", NAMES)
def test_a_build_without_measurements_says_so(name, tmp_path):
    figure = figures.draw(name, None, None)
    assert "was measured for this build" in figure.axes[0].texts[0].get_text()
    style.save(figure, tmp_path / "f.pdf", tmp_path / "f.png")


def test_the_verb_takes_a_folder_and_names_what_it_lacks(folder, tmp_path, capsys):
    arguments = ["figure", "step_time", "--metrics", "none", "--serve", "none"]
    arguments += ["--out", str(tmp_path / "f.pdf"), "--png", str(tmp_path / "f.png")]
    assert main([*arguments, "--measured", str(folder)]) == 0
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    assert main([*arguments, "--measured", str(tmp_path)]) == 2
    assert f"{tmp_path}/raw.json: cannot be read" in capsys.readouterr().err
