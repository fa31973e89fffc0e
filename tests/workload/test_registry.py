"""`workload:` of a scenario: generators and sources by name."""

import hashlib
import re

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import GENERATORS, build, read_source

TRACE = b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,5,6\n2023-11-16 18:15:48,7,8\n"
CATALOGUE = {
    "tiny": {
        "file": "tiny.csv",
        "url": "https://invalid.invalid/tiny.csv",
        "sha256": hashlib.sha256(TRACE).hexdigest(),
        "licence": "CC0",
        "reader": "azure",
        "options": {"rate_scale": 2},
    },
    "odd": {
        "file": "tiny.csv",
        "url": "https://invalid.invalid/",
        "sha256": hashlib.sha256(TRACE).hexdigest(),
        "reader": "parquet",
    },
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.csv").write_bytes(TRACE)
    return tmp_path


def test_a_generator_is_called_with_its_parameters(folder):
    table = build({"generator": "code", "duration_s": 300, "seed": 4}, folder)
    assert table.digest == GENERATORS["code"](duration_s=300, seed=4).digest


def test_a_source_is_read_with_its_options_and_says_where_it_is_from(folder):
    table = build({"source": "tiny"}, folder, CATALOGUE)
    assert table.name == "tiny"
    assert table.arrival_s.tolist() == [0, 1]
    assert dict(table.origin) == {
        "source": "tiny",
        "file": "tiny.csv",
        "sha256": CATALOGUE["tiny"]["sha256"],
        "url": CATALOGUE["tiny"]["url"],
        "licence": "CC0",
        "parameters": {"rate_scale": 2},
    }
    assert build({"source": "tiny", "rate_scale": 1}, folder, CATALOGUE).arrival_s.tolist() == [0, 2]


def test_a_fetched_file_may_lie_anywhere_but_is_verified_again(folder):
    path = folder / "results-sources-tiny"
    path.write_bytes(TRACE)
    assert (
        read_source("tiny", CATALOGUE["tiny"], path, {}).digest == build({"source": "tiny"}, folder, CATALOGUE).digest
    )
    path.write_bytes(TRACE + b"\n")
    with pytest.raises(PagedKVError, match="source tiny: .*results-sources-tiny: sha256 is .*, must be "):
        read_source("tiny", CATALOGUE["tiny"], path, {})


@pytest.mark.parametrize(
    "settings, cause",
    [
        ({}, "must name either a generator or a source"),
        ({"generator": "code", "source": "tiny"}, "must name either a generator or a source"),
        ({"generator": "cod"}, "no generator 'cod'; there are code, azure_conv, chat, agent, rotation, longdoc, fits"),
        ({"generator": ["code"]}, "no generator ['code']; there are code, "),
        ({"source": "tinier"}, "no source 'tinier'; there are tiny, odd"),
        ({"source": "odd"}, "no reader 'parquet'; there are azure, mooncake, kv_cache_tester"),
        (
            {"generator": "code", "rate": 1},
            "generator 'code' has no parameter 'rate'; it takes duration_s, rate_scale, seed, limit",
        ),
        ({"source": "tiny", "tick_s": 3}, "source 'tiny' has no parameter 'tick_s'; it takes limit, start_s, "),
        ({"generator": "code", "seed": "a"}, "seed is 'a', must be an integer of at least 0"),
        ({"generator": "rotation", "case": "x"}, "no rotation case 'x'; there are rotation-q2, "),
    ],
)
def test_wrong_settings_are_named(folder, settings, cause):
    with pytest.raises(PagedKVError, match=re.escape(f"workload: {cause}")) as error:
        build(settings, folder, CATALOGUE)
    assert "\n" not in str(error.value)


def test_without_a_catalogue_there_are_no_sources(folder):
    with pytest.raises(PagedKVError, match="workload: no source 'tiny'; there are none"):
        build({"source": "tiny"}, folder)
