"""The request table: round trip, keys, and a message for everything that can be wrong with one."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.workload import PRIVATE, RequestTable, read
from pagedkv.workload.check import _IDS_A_TIME
from pagedkv.workload.prefixes import IdSource
from pagedkv.workload.sessions import Session, Turn, assemble

BLOCK = 32


def small() -> RequestTable:
    """Two sessions of two turns: the second turn goes on from the first."""
    first, second = Turn(0, 40, 10, 50, np.array([0, 1])), Turn(2.5, 60, 8, 60, np.array([0, 1]))
    other = [Turn(0, 33, 1, 34, np.array([0, 7])), Turn(1, 5, 5)]
    return assemble([Session(1.0, [first, second]), Session(0.5, other)], "small", BLOCK, {"generator": "none"})


@st.composite
def tables(draw) -> RequestTable:
    """Valid tables: every turn keeps some pieces of the session's previous turn and adds new ones."""
    block = draw(st.sampled_from([0, 16, 64, 512]))
    ids = IdSource(draw(st.integers(0, 2**40)))
    sessions = []
    for _ in range(draw(st.integers(1, 5))):
        kept, turns = np.empty(0, np.int64), []
        for _ in range(draw(st.integers(1, 4))):
            prompt, output = draw(st.integers(1, 2000)), draw(st.integers(1, 500))
            known = draw(st.integers(0, prompt + output)) if block else 0
            pieces = -(-known // block) if block else 0
            kept = kept[: draw(st.integers(0, 40))][:pieces]
            kept = np.concatenate([kept, ids.take(pieces - len(kept))])
            turns.append(Turn(draw(st.floats(0, 1e6)), prompt, output, known, kept))
        sessions.append(Session(draw(st.floats(0, 1e6)), turns))
    return assemble(sessions, draw(st.text(max_size=5)), block, {"seed": draw(st.integers())})


@settings(deadline=None)
@given(tables())
def test_round_trip_is_exact_and_equal_tables_are_equal_bytes(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("round")
    sha256 = table.write(folder / "a.parquet")
    back = read(folder / "a.parquet")
    assert (back.name, back.block_tokens, back.origin, back.digest) == (
        table.name,
        table.block_tokens,
        table.origin,
        table.digest,
    )
    assert back.write(folder / "b.parquet") == sha256 == sha256_of(folder / "a.parquet")
    assert [path.name for path in sorted(folder.iterdir())] == ["a.parquet", "b.parquet"]


@settings(deadline=None)
@given(tables())
def test_block_keys_are_one_a_full_block_and_private_beyond_what_is_known(table):
    for row in range(len(table)):
        keys = table.block_keys(row)
        total = int(table.prompt_tokens[row] + table.output_tokens[row])
        assert keys.dtype == np.int64
        for block in range(total // 16):
            known = (block + 1) * 16 <= table.known_tokens[row]
            piece, part = divmod(block * 16, table.block_tokens) if known else (0, 0)
            expected = table.block_ids(row)[piece] * (table.block_tokens // 16) + part // 16 if known else PRIVATE
            assert keys[block] == expected
        assert len(keys) == total // 16


def test_a_next_turn_shares_the_full_blocks_of_prompt_and_output():
    table = small()
    first, second = table.block_keys(2), table.block_keys(3)
    assert first.tolist() == [0, 1, 2]
    assert second.tolist() == [0, 1, 2, PRIVATE]


def test_sessions_are_numbered_in_order_of_start():
    table = small()
    assert table.session.tolist() == [0, 0, 1, 1]
    assert table.turn.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(table.arrival_s, [0.5, np.nan, 1.0, np.nan])
    np.testing.assert_array_equal(table.pause_s, [np.nan, 1, np.nan, 2.5])


def test_rows_cuts_ids_too():
    part = small().rows(2, 4)
    assert part.block_ids(0).tolist() == [0, 1]
    assert part.id_offsets.tolist() == [0, 2, 4]


def changed(**columns) -> RequestTable:
    """`small()` with single cells set: name -> (row, value), or a whole attribute."""
    table = small()
    for name, value in columns.items():
        if isinstance(value, tuple):
            array = getattr(table, name).copy()
            array[value[0]] = value[1]
            value = array
        table = replace(table, **{name: value})
    return table


WRONG = [
    ({"arrival_s": (0, np.inf)}, "row 0: arrival_s or pause_s is infinite"),
    ({"arrival_s": (0, np.nan)}, "row 0: must have either arrival_s or pause_s"),
    ({"pause_s": (0, 1.0)}, "row 0: must have either arrival_s or pause_s"),
    ({"pause_s": (1, -1.0)}, "row 1: arrival_s or pause_s is negative"),
    ({"arrival_s": (2, 0.25)}, "row 2: arrival_s is before that of an earlier row"),
    ({"prompt_tokens": (3, 0)}, "row 3: prompt_tokens must be at least 1"),
    ({"output_tokens": (1, -4)}, "row 1: output_tokens must be at least 1"),
    ({"known_tokens": (2, 51)}, "row 2: known_tokens must be between 0 and prompt + output"),
    ({"known_tokens": (2, -1)}, "row 2: known_tokens must be between 0 and prompt + output"),
    ({"turn": (3, 2)}, "row 3: turn must count 0, 1, 2 … within its session"),
    ({"session": (2, 0)}, "row 2: turn must count 0, 1, 2 … within its session"),
    (
        {"arrival_s": (0, np.nan), "pause_s": (0, 1.0)},
        "row 0: turn 0 of a session must have arrival_s",
    ),
    ({"known_tokens": (2, 32)}, "row 2: block_ids must name exactly the pieces of known_tokens"),
    ({"ids": np.zeros(3, np.int64)}, "id_offsets do not cover ids"),
    ({"ids": (1, -7)}, "row 0: block_ids must not be negative"),
    ({"ids": (2, 1)}, "row 2: a block id stands behind different blocks"),
    ({"ids": (4, 7)}, "row 3: a block id stands behind different blocks"),
    ({"block_tokens": 24}, "block_tokens is 24, must be a multiple of 16"),
    (
        {"block_tokens": 0, "ids": np.empty(0, np.int64), "id_offsets": np.zeros(5, np.int64)},
        "row 0: known_tokens must",
    ),
]


@pytest.mark.parametrize("columns, cause", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, columns, cause):
    path = tmp_path / "table.parquet"
    with pytest.raises(PagedKVError) as error:
        changed(**columns).write(path)
    assert str(error.value).startswith(f"{path}: {cause}")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_empty_table_is_refused():
    with pytest.raises(PagedKVError, match="small: the table has no requests"):
        small().rows(0, 0).validate()


def test_the_id_tree_is_checked_across_chunks():
    rows = 3
    ids = np.tile(np.arange(_IDS_A_TIME // 2, dtype=np.int64), rows)
    tokens = np.full(rows, 16 * len(ids) // rows)
    turns = [Session(0.0, [Turn(0, int(tokens[0]), 1, int(tokens[0]), ids[: len(ids) // rows])]) for _ in range(rows)]
    table = assemble(turns, "long", 16, {})
    wrong = table.ids.copy()
    wrong[-1] = 5
    with pytest.raises(PagedKVError, match="long: row 2: a block id stands behind different blocks"):
        replace(table, ids=wrong).validate()


def rewritten(path, columns=None, drop=None, metadata=None):
    """The small table's file with a column exchanged or dropped, or other metadata."""
    small().write(path)
    file = pq.read_table(path)
    for name, values in (columns or {}).items():
        file = file.set_column(file.column_names.index(name), name, values)
    file = file.drop_columns([drop]) if drop else file
    merged = {**file.schema.metadata, **(metadata or {})}
    pq.write_table(file.replace_schema_metadata({k: v for k, v in merged.items() if v is not None}), path)


@pytest.mark.parametrize(
    "change, cause",
    [
        ({"drop": "turn"}, "column turn is missing"),
        ({"columns": {"turn": pa.array([0.0] * 4)}}, "column turn is double, must be int64"),
        ({"columns": {"turn": pa.array([0, None, 0, 1])}}, "column turn has empty cells"),
        ({"columns": {"prompt_tokens": pa.array([1, 1, -5, 1])}}, "row 2: prompt_tokens must be at least 1"),
        ({"columns": {"block_ids": pa.array([[0, 7], [], [0, None], [0, 1]])}}, "column block_ids has empty cells"),
        ({"metadata": {b"schema": b"2"}}, "schema 2 is newer than this version reads (1)"),
        ({"metadata": {b"name": None}}, "metadata name is missing"),
        ({"metadata": {b"origin": b"{"}}, "metadata is not valid: Expecting property name"),
        ({"metadata": {b"block_tokens": b"x"}}, "metadata is not valid: invalid literal"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, change, cause):
    path = tmp_path / "table.parquet"
    rewritten(path, **change)
    with pytest.raises(PagedKVError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {cause}")
    assert "\n" not in str(error.value)


def test_a_file_without_rows_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    small().write(path)
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(PagedKVError, match=r"table\.parquet: the table has no requests"):
        read(path)


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / "table.parquet"
    small().write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PagedKVError, match="not a readable request table"):
        read(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(PagedKVError, match=r"none\.parquet: not a readable request table"):
        read(tmp_path / "none.parquet")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    before = small().write(path)

    def fail(_, target, **__):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        changed(pause_s=(1, 9.0)).write(path)
    assert sha256_of(path) == before
    assert list(tmp_path.iterdir()) == [path]
