"""Request tables in NumPy's format, as a machine without pyarrow writes them. Parquet: test_table.py."""

import json

import numpy as np
import pytest

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.workload import build, read

SMALL = {"generator": "chat", "duration_s": 5}


@pytest.fixture
def without_pyarrow(monkeypatch):
    monkeypatch.setattr(storage, "has_pyarrow", lambda: False)


@pytest.fixture
def path(tmp_path, without_pyarrow):
    """A good file."""
    build(SMALL, tmp_path).write(tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def test_what_is_written_without_pyarrow_is_read_with_it(tmp_path, monkeypatch):
    table = build(SMALL, tmp_path)
    table.write(tmp_path / "parquet")
    with monkeypatch.context() as here:
        here.setattr(storage, "has_pyarrow", lambda: False)
        digest = table.write(tmp_path / "npz")
        assert digest == sha256_of(tmp_path / "npz") == table.write(tmp_path / "again"), "equal tables are equal bytes"
        assert read(tmp_path / "npz").digest == table.digest
    assert [(tmp_path / name).read_bytes()[:2] for name in ("parquet", "npz")] == [b"PA", b"PK"]
    for name in ("parquet", "npz"):
        back = read(tmp_path / name)
        assert (back.digest, back.name, back.origin) == (table.digest, table.name, table.origin)
        assert back.block_tokens == table.block_tokens


def test_parquet_without_pyarrow_is_refused_in_words(tmp_path, monkeypatch):
    build(SMALL, tmp_path).write(tmp_path / "table.parquet")
    monkeypatch.setattr(storage, "has_pyarrow", lambda: False)
    with pytest.raises(PagedKVError, match="not a readable request table: it is Parquet, and pyarrow is not installed"):
        read(tmp_path / "table.parquet")


def _meta(columns, **changes):
    metadata = {**json.loads(str(columns["metadata"])), **changes}
    return {**columns, "metadata": np.array(json.dumps(metadata))}


def _empty(columns):
    return {**{k: v[:0] if v.ndim else v for k, v in columns.items()}, "id_offsets": columns["id_offsets"][:1]}


@pytest.mark.parametrize(
    "change, cause",
    [
        (lambda c: {k: v for k, v in c.items() if k != "turn"}, "column turn is missing"),
        (lambda c: {k: v for k, v in c.items() if k != "ids"}, "column ids is missing"),
        (lambda c: {**c, "turn": c["turn"] * 1.0}, "column turn is float64, must be int64"),
        (lambda c: {**c, "turn": c["turn"][:, None]}, "column turn is int64 of 2 dimensions"),
        (lambda c: {**c, "turn": c["turn"][:-1]}, "column turn is not as long as the others"),
        (lambda c: {**c, "id_offsets": c["id_offsets"][:-1]}, "column id_offsets is not as long as the others"),
        (lambda c: {**c, "prompt_tokens": -c["prompt_tokens"]}, "row 0: prompt_tokens must be at least 1"),
        (lambda c: _empty(c), "the table has no requests"),
        (lambda c: {k: v for k, v in c.items() if k != "metadata"}, "metadata schema is missing"),
        (lambda c: {**c, "metadata": np.array("[]")}, "not a readable request table: its metadata is not a table"),
        (lambda c: {**c, "metadata": np.array("{")}, "not a readable request table: "),
        (lambda c: _meta(c, schema="2"), "schema 2 is newer than this version reads (1)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_named(path, change, cause):
    columns = storage.unpack(path.read_bytes(), storage.NPZ)
    path.write_bytes(storage.pack(change(columns), storage.NPZ))
    with pytest.raises(PagedKVError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {cause}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [10, 200, -1])
def test_a_truncated_file_is_refused(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PagedKVError, match="not a readable request table"):
        read(path)
