"""Mooncake's JSON lines: ids, ticks, and every message."""

import gzip
import json

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import PRIVATE, mooncake


def line(timestamp=0, prompt=600, output=10, ids=(0, 1), **more):
    fields = {"timestamp": timestamp, "input_length": prompt, "output_length": output, "hash_ids": ids, **more}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


GOOD = [line(), line(0, 1024, 5, (0, 2)), line(3000, 100, 1, (3,)), line(3000, 1537, 7, (0, 2, 4, 5))]


def jsonl(folder, *lines, name="trace.jsonl.gz"):
    path = folder / name
    data = "".join(f"{text}\n" for text in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["trace.jsonl.gz", "trace.jsonl"])
def test_ids_name_the_prompt_and_the_answer_is_private(tmp_path, name):
    table = mooncake.read(jsonl(tmp_path, *GOOD, name=name))
    assert table.name == "trace"
    assert table.arrival_s.tolist() == [0, 0, 3, 3]
    assert table.known_tokens.tolist() == table.prompt_tokens.tolist()
    assert table.block_ids(3).tolist() == [0, 2, 4, 5]
    keys = table.block_keys(0)  # 600 + 10 tokens: 38 blocks, of which 37 lie in the prompt
    assert keys.tolist() == [*range(32), *range(32, 37), PRIVATE]


def test_a_tick_is_spread_evenly_and_keeps_its_order(tmp_path):
    lines = [line(tick * 3000, 512, number + 1, (0,)) for tick in range(20) for number in range(50)]
    table = mooncake.read(jsonl(tmp_path, *lines), tick_s=3)
    place = table.arrival_s - np.repeat(np.arange(20) * 3.0, 50)
    assert (np.diff(table.arrival_s) >= 0).all()
    assert ((place >= 0) & (place < 3)).all()
    assert place.mean() == pytest.approx(1.5, abs=0.1)
    assert place.std() == pytest.approx(3 / 12**0.5, rel=0.05)
    assert table.output_tokens.tolist() == list(range(1, 51)) * 20
    assert mooncake.read(tmp_path / "trace.jsonl.gz", tick_s=3).digest == table.digest
    assert mooncake.read(tmp_path / "trace.jsonl.gz", tick_s=3, seed=2).digest != table.digest


def test_the_window_cuts_ids_with_their_rows(tmp_path):
    table = mooncake.read(jsonl(tmp_path, *GOOD), start_s=1, rate_scale=4, limit=2)
    assert table.arrival_s.tolist() == [0.5, 0.5]
    assert [table.block_ids(row).tolist() for row in range(2)] == [[3], [0, 2, 4, 5]]


@pytest.mark.parametrize(
    "lines, cause",
    [
        ([], "the file has no requests"),
        ([GOOD[0], "{"], "line 2: not JSON: "),
        (["[]"], "line 1: timestamp is None, must be an integer of at least 0"),
        ([line(timestamp=None)], "line 1: timestamp is None, must be an integer of at least 0"),
        ([line(timestamp=-1)], "line 1: timestamp is -1, must be an integer of at least 0"),
        ([line(timestamp=1.5)], "line 1: timestamp is 1.5, must be an integer of at least 0"),
        ([line(timestamp=float("inf"))], "line 1: timestamp is inf, must be an integer of at least 0"),
        ([line(prompt=-600)], "line 1: input_length is -600, must be an integer of at least 1"),
        ([line(output=0)], "line 1: output_length is 0, must be an integer of at least 1"),
        ([line(output=True)], "line 1: output_length is True, must be an integer of at least 1"),
        ([line(ids=None)], "line 1: hash_ids must be a list"),
        ([line(ids=(0,))], "line 1: 1 hash_ids, must be 2 for 600 tokens"),
        ([line(ids=(0, -1))], "line 1: hash_ids must be integers of at least 0"),
        ([line(ids=(0, 0.5))], "line 1: hash_ids must be integers of at least 0"),
        ([line(ids=(0, "a"))], "line 1: hash_ids must be integers of at least 0"),
        ([line(ids=(0, None))], "line 1: hash_ids must be integers of at least 0"),
        ([line(ids=(0, 2**70))], "line 1: hash_ids must be integers of at least 0"),
        ([line(5), line(4)], "line 2: timestamp is before that of the line above"),
        ([line(), line(ids=(1, 0))], "row 1: a block id stands behind different blocks"),
    ],
)
def test_bad_lines_are_named(tmp_path, lines, cause):
    path = jsonl(tmp_path, *lines)
    with pytest.raises(PagedKVError) as error:
        mooncake.read(path)
    assert str(error.value).startswith(f"{path}: {cause}")
    assert "\n" not in str(error.value)


def test_a_truncated_or_absent_file_is_named(tmp_path):
    path = jsonl(tmp_path, *GOOD * 1)
    path.write_bytes(path.read_bytes()[:-20])
    for name in ("trace.jsonl.gz", "none.jsonl"):
        with pytest.raises(PagedKVError, match=f"{name}: cannot be read: "):
            mooncake.read(tmp_path / name)


def test_a_wrong_tick_is_named(tmp_path):
    with pytest.raises(PagedKVError, match="workload: tick_s is -3, must be a number above 0"):
        mooncake.read(jsonl(tmp_path, *GOOD), tick_s=-3)
