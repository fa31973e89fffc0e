"""Errors of the command line: one line on stderr, exit code 2, nothing written."""

import json

import pytest

from pagedkv.cli import main
from tests import pipeline


@pytest.fixture
def fails(capsys, tmp_path):
    """Run a verb that must fail without writing anything into tmp_path; returns its one line."""

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert main([str(argument) for argument in arguments]) == 2
        line = [
            line for line in capsys.readouterr().err.splitlines() if not line.startswith(("replay toy", "serve toy"))
        ]
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        assert len(line) == 1 and line[0].startswith("pagedkv: "), line
        return line[0].removeprefix("pagedkv: ")

    return run


def test_settings_that_are_no_json_or_not_all(fails, tmp_path):
    out = ("--out", tmp_path / "w.parquet")
    assert fails("workload", "--settings", "{", *out).startswith("--settings: not JSON")
    assert fails("workload", "--settings", "[1]", *out) == "--settings: not a table of settings"
    assert fails("workload", "--settings", "{}", *out) == "--settings: 'workload' is missing, which workload needs"
    assert fails("fetch", "x", "--settings", "nothing", *out).startswith("--settings: not JSON")
    assert fails("workload", *out) == "workload: give --scenario NAME (or --settings JSON)"


def test_unknown_names(fails, tmp_path, at_root):
    out = ("--out", tmp_path / "w.parquet")
    assert fails("workload", "--scenario", "nope", *out).startswith("config: there is no scenario 'nope'; known are")
    assert fails("fetch", "nope", *out).startswith("fetch: there is no source 'nope'; known are")
    line = fails("workload", "--settings", pipeline.settings(tmp_path, "workload", generator="dream"), *out)
    assert "unknown generator 'dream'" in line or "'dream'" in line
    figure = ("--metrics", tmp_path / "m", "--serve", tmp_path / "s", "--out", tmp_path / "p", "--png", tmp_path / "q")
    assert fails("figure", "nope", *figure).startswith("figure 'nope' is unknown; known are")


@pytest.mark.parametrize("verb", ["record", "replay", "serve"])
def test_a_missing_input(fails, tmp_path, verb):
    settings = pipeline.settings(tmp_path, verb)
    flag = "--trace" if verb == "replay" else "--requests"
    line = fails(verb, "--settings", settings, flag, tmp_path / "absent", "--out", tmp_path / "out")
    assert str(tmp_path / "absent") in line


def test_a_missing_runs_file_is_told_before_the_other_output_is_written(fails, tiny_results, tmp_path):
    """Bug: the runs were written before the closed loop's rows were read."""
    out = ("--out-runs", tmp_path / "r", "--out-serve", tmp_path / "s")
    line = fails("metrics", "--runs", tiny_results / "runs.parquet", "--serve", tmp_path / "absent", *out)
    assert "absent: cannot be read" in line


def test_a_damaged_trace(fails, tiny_results, tmp_path):
    whole = (tiny_results / "toy.kvtrace").read_bytes()
    for name, data in (("cut", whole[: len(whole) // 2]), ("empty", b""), ("text", b"not a trace")):
        (tmp_path / name).write_bytes(data)
        assert str(tmp_path / name) in fails("verify", tmp_path / name)
        settings = pipeline.settings(tmp_path, "replay")
        assert name in fails("replay", "--settings", settings, "--trace", tmp_path / name, "--out", tmp_path / "out")


REPLAY_ERRORS = [
    ({"capacity": [0.05]}, "is below the largest read set of the trace"),
    ({"capacity": [0.001]}, "a pool of 0 blocks is too small"),
    ({"demand": ["D-async"]}, "D-async is refused in replay"),
    ({"demand": ["D-sometimes"]}, "demand mode 'D-sometimes' is unknown"),
    ({"policies": [{"prefetch": "wish"}]}, "prefetch policy 'wish' is unknown; known are"),
    ({"policies": [{"prefetch": "next_n", "params": {"m": 1}}]}, "prefetch policy 'next_n' has no parameter 'm'"),
    ({"policies": [{"prefetch": "next_n", "params": {"trigger": "x"}}]}, "next_n: trigger is one of miss, tagged,"),
    ({"evictions": ["lru", "dice"]}, "'dice' is unknown; known are"),
    ({"policies": [{"prefetch": "next_n", "address": "swap"}]}, "address 'swap' is unknown"),
]


@pytest.mark.parametrize("changes,message", REPLAY_ERRORS)
def test_a_replay_that_cannot_be(fails, tiny_results, tmp_path, changes, message):
    settings = pipeline.settings(tmp_path, "replay", **changes)
    assert message in fails(
        "replay", "--settings", settings, "--trace", tiny_results / "toy.kvtrace", "--out", tmp_path / "out"
    )


SERVE_ERRORS = [
    ({"eviction": "min"}, "min is of level I6: a closed loop has no future to show; use replay"),
    ({"prefetch": "clairvoyant"}, "clairvoyant is of level I6: a closed loop has no future to show"),
    ({"prefetch": "wish"}, "prefetch policy 'wish' is unknown"),
    ({"demand": "D-sometimes"}, "demand mode 'D-sometimes' is unknown"),
    ({"engine": {"preemption": "hope"}}, "preemption is one of swap, recompute, not 'hope'"),
    ({"engine": {"wings": 2}}, "engine setting 'wings' is unknown"),
]


@pytest.mark.parametrize("changes,message", SERVE_ERRORS)
def test_a_closed_loop_that_cannot_be(fails, tiny_results, tmp_path, changes, message):
    settings = pipeline.settings(tmp_path, "serve", serve=[{**pipeline.SERVE[0], **changes}])
    arguments = ("--requests", tiny_results / "requests.parquet", "--out", tmp_path / "out")
    assert message in fails("serve", "--settings", settings, *arguments)


def test_a_source_whose_bytes_are_others(fails, tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(pipeline.CSV + "\n")
    monkeypatch.setenv("PAGEDKV_DATA", str(tmp_path))
    spec = {"file": "t.csv", "url": "https://example.invalid/", "sha256": "0" * 64}
    line = fails("fetch", "toy", "--settings", json.dumps(spec), "--out", tmp_path / "out")
    assert "sha256 is" in line and "must be 000000" in line


def test_an_output_that_cannot_be_written(fails, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    settings = pipeline.settings(tmp_path, "workload")
    for place in (tmp_path / "folder", tmp_path / "file/below"):
        assert str(place.relative_to(tmp_path)).split("/")[0] in fails(
            "workload", "--settings", settings, "--out", place
        )


def test_a_wrong_configuration(fails, tmp_path, at_root):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("seed: many\n")
    out = ("--out", tmp_path / "w.parquet")
    assert "seed" in fails("workload", "--scenario", "fits", "--config", "config.yaml", wrong, *out)
    assert "cannot be read" in fails("workload", "--scenario", "fits", "--config", tmp_path / "absent.yaml", *out)
