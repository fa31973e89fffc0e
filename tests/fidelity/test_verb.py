"""`pagedkv fidelity` and `pagedkv ship-measurements`, from files to files."""

from __future__ import annotations

import json

import pandas as pd

from pagedkv.cli import main
from pagedkv.device.calibration import read_calibration
from pagedkv.fidelity import table as module
from tests.fidelity import synthetic
from tests.pipeline import CALIBRATION


def test_from_measurements_to_the_table(tmp_path, monkeypatch, capsys):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(CALIBRATION))
    monkeypatch.setitem(synthetic.MACHINE, "where", "cuda")
    monkeypatch.setattr(module, "requests_of", lambda trace: synthetic.table())
    monkeypatch.setattr(synthetic, "costs", lambda **changes: read_calibration(path))
    measured = synthetic.folder(tmp_path / "toy")
    (tmp_path / "identity.json").write_text(json.dumps(synthetic.IDENTITY))
    shipped = tmp_path / "recorded"
    identity = ["--identity", str(tmp_path / "identity.json")]
    assert main(["ship-measurements", str(measured), *identity, "--out", str(shipped)]) == 0
    out = tmp_path / "fidelity.parquet"
    arguments = ["--identity", str(shipped / "identity.json"), "--calibration", str(path), "--out", str(out)]
    assert main(["fidelity", str(shipped / "toy"), *arguments, "--traces", str(tmp_path)]) == 0
    rows = pd.read_parquet(out)
    assert rows["decisions_exact"].dropna().tolist() == [1, 1, 1]
    assert set(rows.loc[rows["kind"] == "identity", "scenario"]) == {"toy", "identity"}
    assert "fed: decisions exact: 1 (bar 1), kept" in capsys.readouterr().out


def test_without_measurements(tmp_path, capsys):
    path, out = tmp_path / "calibration.json", tmp_path / "f.parquet"
    path.write_text(json.dumps(CALIBRATION))
    identity = ["--identity", str(tmp_path / "none.json")]
    assert main(["fidelity", *identity, "--calibration", str(path), "--out", str(out)]) == 0
    assert set(pd.read_parquet(out)["verdict"]) == {"not measured"}
    assert main(["fidelity", str(tmp_path / "none"), "--calibration", str(path), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith(f"pagedkv: {tmp_path / 'none'}: No such file")
