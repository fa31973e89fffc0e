"""The command line: every verb on a tiny input, and the same bytes from another process."""

import hashlib
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from pagedkv.cli import main
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.metric.glossary import markdown
from pagedkv.paper.figures import names
from pagedkv.prefetch.registry import PREFETCHERS
from tests import pipeline


def tables(folder):
    return ["--metrics", str(folder / "all_runs.parquet"), "--serve", str(folder / "all_serve.parquet")]


def test_the_stages_give_rows_of_one_scenario(tiny_results):
    runs, serve = (pd.read_parquet(tiny_results / f"all_{name}.parquet") for name in ("runs", "serve"))
    assert set(runs["scenario"]) == set(serve["scenario"]) == {"toy"}
    assert set(runs["sweep"]) == {"main", "matched", "rho", "demand", "fault"}
    assert len(serve) == len(pipeline.SERVE)
    assert not runs["recorded"].any()
    assert runs["stall_none_s"].max() > 0, "the pool must be too small, or the tests say nothing"


@pytest.mark.parametrize("name", names())
def test_figure(tiny_results, tmp_path, name):
    out = ["--out", str(tmp_path / "f.pdf"), "--png", str(tmp_path / "f.png")]
    assert main(["figure", name, *tables(tiny_results), "--trace", str(tiny_results / "toy.kvtrace"), *out]) == 0
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_tables(tiny_results, tmp_path):
    assert main(["tables", *tables(tiny_results), "--out", str(tmp_path / "tables")]) == 0
    assert "LA-8 stay" in (tmp_path / "tables/policies.tex").read_text()


def test_claims_then_numbers_then_their_verdicts_in_print(tiny_results, tmp_path, at_root, capsys):
    claims, numbers = tmp_path / "claims.json", tmp_path / "numbers"
    out = ["--out-json", str(claims), "--out-tex", str(tmp_path / "claims.tex")]
    assert main(["claims", *tables(tiny_results), *out]) == 0
    out = ["--out-tex", f"{numbers}.tex", "--out-json", f"{numbers}.json"]
    assert main(["numbers", *tables(tiny_results), "--claims", str(claims), *out]) == 0
    assert r"\pkvdefnumber" in (tmp_path / "numbers.tex").read_text()
    assert isinstance(json.loads((tmp_path / "numbers.json").read_text()), dict)
    capsys.readouterr()
    assert main(["claims", "--print", str(claims)]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= len(json.loads(claims.read_text()))


def test_provenance(tmp_path, at_root):
    assert main(["provenance", "--out", str(tmp_path / "provenance.tex")]) == 0
    assert (tmp_path / "provenance.tex").stat().st_size > 0


def test_verify(tiny_results, capsys):
    assert main(["verify", str(tiny_results / "toy.kvtrace")]) == 0
    assert "simulated trace of toy, complete and unchanged" in capsys.readouterr().out


def test_ship_and_come_back_as_recorded(tiny_results, tmp_path):
    shipped = tmp_path / "recorded"
    assert main(["ship", *tables(tiny_results), "--scenarios", "toy", "--out", str(shipped), "--command", "me"]) == 0
    other = tiny_results / "other.parquet"
    pd.read_parquet(tiny_results / "runs.parquet").assign(scenario="other").to_parquet(other)
    out = ["--out-runs", str(tmp_path / "runs.parquet"), "--out-serve", str(tmp_path / "serve.parquet")]
    assert main(["metrics", "--runs", str(other), "--serve", str(other), "--recorded", str(shipped), *out]) == 0
    together = pd.read_parquet(tmp_path / "runs.parquet")
    assert dict(together.groupby("scenario")["recorded"].first()) == {"other": False, "toy": True}


def test_fetch_from_a_folder(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "t.csv").write_text(pipeline.CSV)
    monkeypatch.setenv("PAGEDKV_DATA", str(data))
    spec = {"file": "t.csv", "url": "https://example.invalid/t.csv", "licence": "none", "reader": "azure"}
    spec["sha256"] = hashlib.sha256(pipeline.CSV.encode()).hexdigest()
    assert main(["fetch", "toy", "--settings", json.dumps(spec), "--out", str(tmp_path / "source")]) == 0
    assert (tmp_path / "source").read_text() == pipeline.CSV
    workload = json.dumps({"workload": {"source": "toy"}, "sources": {"toy": spec}})
    for extra in ([], ["--data", str(tmp_path / "source")]):
        assert main(["workload", "--settings", workload, *extra, "--out", str(tmp_path / "requests.parquet")]) == 0


def test_a_scenario_is_read_from_the_configuration_by_name(tmp_path, at_root):
    out = ["--out", str(tmp_path / "fits.parquet")]
    assert main(["workload", "--scenario", "fits", "--config", "config.yaml", *out]) == 0


def test_list_prints_every_registered_policy(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for registry in (PREFETCHERS, EVICTIONS):
        for name in registry.all():
            assert any(line.split()[:1] == [name] for line in lines), name


def test_list_prints_the_metrics(capsys):
    assert main(["list", "--metrics"]) == 0
    assert capsys.readouterr().out == markdown()


def test_help_names_every_verb_and_the_module_is_a_program():
    done = subprocess.run([sys.executable, "-m", "pagedkv", "--help"], capture_output=True, text=True, check=True)
    verbs = "fetch workload record replay serve metrics ship figure tables numbers claims provenance verify list"
    printed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("    ")}
    assert printed >= set(verbs.split())


def test_equal_seeds_give_equal_bytes_in_another_process(tiny_results, tmp_path, repository):
    """The same stages in one fresh process under another hash seed."""
    script = "import sys, json; from pagedkv.cli import main; sys.exit(any(main(a) for a in json.load(sys.stdin)))"
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(repository / "src")}
    subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(pipeline.stages(tmp_path)),
        text=True,
        env=environment,
        check=True,
        capture_output=True,
    )
    for name in ("requests.parquet", "toy.kvtrace", "runs.parquet", "serve.parquet", "all_runs.parquet"):
        assert (tmp_path / name).read_bytes() == (tiny_results / name).read_bytes(), name
