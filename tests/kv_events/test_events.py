"""KV events: the forms in which they come, and the form in which they are kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.kv_events.events import AllBlocksCleared, Batch, BlockRemoved, BlockStored, batch_from, batch_to
from tests.kv_events.logs import batches


def test_a_batch_of_0_26():
    """Events are maps; ones with their default value are left out; hashes are bytes."""
    stored = {"type": "BlockStored", "block_hashes": [b"\x01\xff", b"\x02"], "parent_block_hash": None}
    stored |= {"token_ids": [1, 2, 3, 4], "block_size": 2, "lora_id": None, "medium": "CPU", "lora_name": None}
    removed = {"type": "BlockRemoved", "block_hashes": [7], "medium": "GPU", "group_idx": 3}
    found = batch_from([12.5, [stored, removed, {"type": "AllBlocksCleared"}], 2], seq=9)
    assert found == Batch(
        ts=12.5,
        events=(
            BlockStored(("01ff", "02"), None, 2, "CPU", rest={"token_ids": [1, 2, 3, 4]}),
            BlockRemoved((7,), "GPU", 3),
            AllBlocksCleared(),
        ),
        rank=2,
        seq=9,
    )


def test_a_batch_of_older_versions():
    """Events are arrays; the oldest do not name a medium, and there was but one."""
    events = [["BlockStored", [5, 6], 4, [1] * 32, 16, None], ["BlockRemoved", [5]], ["AllBlocksCleared"]]
    found = batch_from([1.0, events])
    assert found.events[0] == BlockStored((5, 6), 4, 16, rest={"token_ids": [1] * 32})
    assert found.events[1:] == (BlockRemoved((5,)), AllBlocksCleared())
    assert (found.rank, found.seq) == (0, None)


def test_an_array_with_a_medium_says_so():
    found = batch_from({"ts": 1, "events": [["BlockStored", [5], None, [1], 1, 8, "FS"]], "data_parallel_rank": 1})
    assert found.events == (BlockStored((5,), None, 1, "FS", rest={"token_ids": [1], "lora_id": 8}),)
    assert found.rank == 1


def test_what_users_typed_is_kept_only_on_demand():
    batch = batch_from([0.0, [["BlockStored", [5], None, [41, 42], 2, 8]]])
    assert batch_from(batch_to(batch, content=True)) == batch
    assert batch_from(batch_to(batch)).events == (BlockStored((5,), None, 2, rest={"lora_id": 8}),)
    assert "41" not in json.dumps(batch_to(batch))


@given(st.lists(batches(), max_size=5))
def test_json_keeps_every_batch(log):
    assert [batch_from(json.loads(json.dumps(batch_to(batch, content=True)))) for batch in log] == log


@given(batches())
def test_msgpack_keeps_every_batch(batch):
    msgpack = pytest.importorskip("msgspec").msgpack
    assert batch_from(msgpack.decode(msgpack.encode(batch_to(batch, content=True)))) == batch


STORED = {"type": "BlockStored", "block_hashes": [1], "parent_block_hash": None, "block_size": 16}


def without(name):
    return {key: value for key, value in STORED.items() if key != name}


@pytest.mark.parametrize(
    "raw, cause",
    [
        (3, "not a batch"),
        ([1.0], "an array of 1"),
        ({"events": []}, "batch: field 'ts' is missing"),
        ({"ts": 1.0}, "batch: field 'events' is missing"),
        ([True, []], "ts is True"),
        ([float("nan"), []], "ts is nan"),
        ([1.0, {}], "events is not a list"),
        ([1.0, [], -1], "rank is -1"),
        ({"ts": 1.0, "events": [], "seq": "3"}, "seq is '3'"),
        ([1.0, [7]], "an event is a map or an array, not int"),
        ([1.0, [{"type": "BlockMoved"}]], "unknown event 'BlockMoved'; known are BlockStored, BlockRemoved, AllBl"),
        ([1.0, [{}]], "unknown event None"),
        ([1.0, [["BlockRemoved"]]], "BlockRemoved: field 'block_hashes' is missing"),
        ([1.0, [without("block_hashes")]], "BlockStored: field 'block_hashes' is missing"),
        ([1.0, [without("parent_block_hash")]], "BlockStored: field 'parent_block_hash' is missing"),
        ([1.0, [without("block_size")]], "BlockStored: field 'block_size' is missing"),
        ([1.0, [STORED | {"block_hashes": 1}]], "BlockStored: block_hashes is not a list"),
        ([1.0, [STORED | {"block_hashes": [1.5]}]], "1.5 is no block hash"),
        ([1.0, [STORED | {"medium": 3}]], "medium is 3"),
        ([1.0, [STORED | {"block_size": -16}]], "block_size is -16"),
        ([1.0, [STORED | {"group_idx": "a"}]], "group_idx is 'a'"),
    ],
)
def test_what_is_no_batch_is_named(raw, cause):
    with pytest.raises(ValueError, match=f"^.*{cause}"):
        batch_from(raw)
