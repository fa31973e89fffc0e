"""Event logs on disk: whole, in order, and refused in one line where they are not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.kv_events.event_log import line_of, read_log, write_log
from pagedkv.kv_events.events import Batch, batch_from
from tests.kv_events.logs import batches, log, removed, stored


def write(path, *lines):
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def batch(seq, ts=1.0, rank=0):
    return {"seq": seq, "ts": ts, "rank": rank, "events": []}


def test_what_is_written_is_read(tmp_path):
    written = log([stored(1, 2)], [removed(2), stored(3, after=1)], [removed(1)])
    assert write_log(written, tmp_path / "log.jsonl") == 3
    found = read_log(tmp_path / "log.jsonl")
    assert (found.batches, found.missing, found.numbered, found.span_s) == (tuple(written), 0, True, 2.0)


@given(batches())
def test_a_line_is_one_line_and_the_batch(batch):
    line = line_of(batch, content=True)
    assert line.endswith("\n") and line.count("\n") == 1
    assert batch_from(json.loads(line)) == batch


def test_a_log_as_users_dump_it(tmp_path):
    """vLLM's arrays without sequence numbers; empty lines do not matter."""
    path = write(tmp_path / "dump.jsonl", [5.0, [["BlockRemoved", [1]]], 0], "", [7.5, []])
    found = read_log(path)
    assert (len(found.batches), found.numbered, found.span_s) == (2, False, 2.5)


@pytest.mark.parametrize(
    "lines, cause",
    [
        (["{"], "line 1: not JSON: Expecting property name enclosed in double quotes"),
        ([batch(0), "", {"ts": 1.0}], "line 3: batch: field 'events' is missing"),
        ([batch(0), [2.0, [["BlockMoved", [1]]]]], "line 2: unknown event 'BlockMoved'"),
        ([batch(0, ts=2.0), batch(1, ts=1.5)], "line 2: time goes back by 0.500000 s on rank 0"),
        ([batch(3), batch(3)], "line 2: sequence 3 follows 3 on rank 0: the publisher was restarted"),
        ([batch(3), batch(0)], "line 2: sequence 0 follows 3 on rank 0: the publisher was restarted"),
        ([batch(3), batch(6)], r"line 2: sequence 6 follows 3 on rank 0: 2 missing \(--allow-gaps"),
        ([""], "holds no batch"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, lines, cause):
    path = write(tmp_path / "log.jsonl", *lines)
    with pytest.raises(PagedKVError, match=f"^{path}: {cause}"):
        read_log(path)


def test_binary_data_is_no_log(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PagedKVError, match="not a text file"):
        read_log(tmp_path / "log.jsonl")


def test_every_rank_counts_for_itself(tmp_path):
    path = write(tmp_path / "log.jsonl", batch(5, ts=9.0), batch(0, ts=1.0, rank=1), batch(6, ts=9.0), batch(1, 1.0, 1))
    assert read_log(path).missing == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_gaps_are_counted_where_they_are_allowed(tmp_path_factory, strides):
    numbers = [sum(strides[: n + 1]) for n in range(len(strides))]
    path = tmp_path_factory.mktemp("gaps") / "log.jsonl"
    write_log((Batch(1.0, (), 0, number) for number in numbers), path)
    assert read_log(path, allow_gaps=True).missing == numbers[-1] - numbers[0] + 1 - len(numbers)
