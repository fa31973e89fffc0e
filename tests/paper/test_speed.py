"""Bars of speed: verdicts, rows that a run lacks, and what the shipped run says."""

import json

import pandas as pd
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.paper import origin, speed, speed_numbers, tables, tex
from tests.paper.conftest import ROOT

SHIPPED = ROOT / "recorded/benchmarks/cuda.json"
ROWS = [
    {"what": "streaming", "gb_s": 4000.0},
    {
        "what": "decode step, batch 64, context 2048",
        "ms": 9.46,
        "gb_s": 3500.0,
        "share_of_rate": 0.875,
        "over_floor": 1.2,
    },
    {"what": "swap-in of 512 scattered blocks", "gb_s": 47.5, "large_copy_gb_s": 50.0, "share_of_large": 0.9499},
    {"what": "host work a step, batch 64", "us_p50": 150.0},
    {"what": "decode attention, batch 4, context 32768", "us": 150.0, "gb_s": 3600.0, "share_of_rate": 0.9},
]
FOUND = {
    "rows": ROWS,
    "provenance": {"device": "Toy_GPU", "commit": "0123456789abcdef", "recorded_at": "2026-11-24T23"},
}


def lines(found):
    return {line.split(" & ")[0]: line for line in speed.table(found).splitlines() if line.endswith(r"\\")}


def verdict(found, name):
    (bar,) = [bar for bar in speed.BARS if bar.name == name]
    return bar.verdict(speed.row_of(found, bar.row))


@pytest.mark.parametrize(
    "name, word",
    [
        ("floor-64", "met"),  # at most, and it is equal
        ("vllm-64", "missed"),  # faster than, and it is equal
        ("swap", "missed"),  # 94.99 %, which the table rounds to the bar
        ("host", "met"),
        ("attention-4", "met"),
        ("attention-32", speed.UNKNOWN),
        ("floor-1", speed.UNKNOWN),
    ],
)
def test_verdicts(name, word):
    assert verdict(FOUND, name) == word


@pytest.mark.parametrize("found", [FOUND, speed.load(None)])
def test_the_table_has_a_row_for_every_bar_measured_or_not(found):
    rows = lines(found)
    rows.pop(r"\textbf{what}")
    assert list(rows) == [bar.title for bar in speed.BARS]
    assert len({row.count(" & ") for row in rows.values()}) == 1
    assert "nan" not in speed.table(found)
    assert rows["decode attention, batch 32, context 8192"].count(speed.UNKNOWN) == 1


def test_the_limit_stands_beside_what_is_held_against_it():
    rows = lines(FOUND)
    assert r"large copy, 50.0\,GB/s & 95\,\%" in rows["swap-in of scattered blocks"]
    assert r"9.46\,ms & 3\,500 & memory, 4\,000\,GB/s & 88\,\%" in rows["decode step, batch 64: over its floor"]


def test_the_same_numbers_are_there_whether_anything_was_measured_or_not():
    compute = {"kind": "measured", "model": "llama-3-8b", "mixed": {"launch_s": 8e-3}}
    compute["decode"] = {"step_s": [[1, 5e-3], [64, 5e-3]], "context_s": [[64, 4e-8]]}
    made = {key: text for key, _, text in speed_numbers.values(FOUND, {"compute": compute})}
    none = {key: text for key, _, text in speed_numbers.values(speed.load(None), {})}
    assert made.keys() == none.keys()
    assert made["speed-origin"] == r"Toy\_GPU, 2026-11-24, commit 0123456789ab"
    assert (made["speed-bars-met"], made["speed-bars-missed"], made["speed-bars-unknown"]) == ("3", "2", "4")
    # 15.01 GB in 5 ms are 3.00 TB/s; 128 KiB in 40 ns are 3.28 TB/s.
    assert (made["speed-weights-64"], made["speed-kv-64"], made["speed-launch"]) == (r"75\,\%", r"82\,\%", r"8.00\,ms")
    assert none["speed-host"] == none["speed-weights-1"] == tex.MISSING


def test_bars_are_those_that_the_shipped_run_was_held_against():
    found = speed.load(SHIPPED)
    bars = {bar.row: bar.limit for bar in speed.BARS if not bar.name.startswith("vllm")}
    shipped = {row: speed.row_of(found, row).get("bar") for row in bars}
    assert {row: bar for row, bar in shipped.items() if bar is not None}.items() <= bars.items()
    for batch in (64, 1):
        (bar,) = [bar for bar in speed.BARS if bar.name == f"vllm-{batch}"]
        assert speed.row_of(found, bar.row)["vllm_ms"] == bar.limit


def test_the_tables_of_the_report_take_the_file_and_name_another(metrics, serve, tmp_path):
    (tmp_path / "b.json").write_text(json.dumps(FOUND))
    tables.write(metrics, serve, tmp_path, tables.More(benchmark=tmp_path / "b.json"))
    assert r"Toy" not in (tmp_path / "speed.tex").read_text()
    assert r"150\,\textmu{}s" in (tmp_path / "speed.tex").read_text()
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(PagedKVError, match=r"b\.json: not what benchmarks/cuda\.py writes"):
        speed.load(tmp_path / "b.json")


@pytest.mark.parametrize(
    "origins, says",
    [
        (["cuda", "cuda"], "were recorded from the engine on a GPU"),
        (["simulated"], "are simulated"),
        (["cuda", "simulated"], "several origins (cuda, simulated)"),
    ],
)
def test_page_one_says_where_traces_come_from_and_never_calls_the_rest_measured(origins, says):
    rows = pd.DataFrame({"origin": origins, "recorded": False, "sweep": "main"})
    rows.loc[len(rows)] = ["simulated", False, "seeds"]
    text = origin.origin(rows, {"device": "Toy_GPU"})
    assert says in text
    assert r"computed by a simulator whose costs were measured on Toy\_GPU" in text
