"""Trace files: what is written is read back; whatever is wrong with a file is one line that names it and the cause."""

import hashlib
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.trace import read, write
from pagedkv.trace.file import read_header
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import SCHEMA_VERSION, TABLES
from tests.trace.toy import assert_equal, toy_trace


@pytest.fixture
def path(tmp_path):
    """A good trace file."""
    write(toy_trace(), tmp_path / "toy.kvtrace")
    return tmp_path / "toy.kvtrace"


def complaint(path) -> str:
    """The one line that a person reads."""
    with pytest.raises(PagedKVError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repack(path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def with_header(path, **changes) -> None:
    contents = members(path)
    header = {**json.loads(contents["header.json"]), **changes}
    repack(path, {**contents, "header.json": json.dumps(header).encode()})


def test_round_trip(path):
    trace = read(path)
    assert_equal(trace, toy_trace())
    assert (trace.header["scenario"], trace.header["seed"], trace.header["schema"]) == ("toy", 7, SCHEMA_VERSION)
    assert (trace.header["peak_live_blocks"], trace.header["largest_read_set_blocks"]) == (3, 3)


@pytest.mark.parametrize("form", storage.FORMS)
def test_round_trip_of_an_empty_trace(tmp_path, form):
    empty = Recorder().finish({})
    write(empty, tmp_path / "empty.kvtrace", form)
    assert_equal(read(tmp_path / "empty.kvtrace"), empty)


def test_a_trace_written_without_pyarrow_is_read_with_and_without_it(path, tmp_path, monkeypatch):
    npz = tmp_path / "npz.kvtrace"
    with monkeypatch.context() as there:
        there.setattr(storage, "has_pyarrow", lambda: False)
        digest = write(toy_trace(), npz)
        assert list(members(npz)) == ["header.json", *(f"{name}.npz" for name in TABLES)]
        assert_equal(read(npz), toy_trace())
        assert complaint(path) == "table 'steps' is broken: it is Parquet, and pyarrow is not installed here"
    assert write(read(npz), npz, storage.NPZ) == digest, "equal traces are equal bytes"
    assert_equal(read(npz), toy_trace())
    assert write(read(npz), npz) == sha256_of(path), "and become Parquet here"


def test_a_table_of_another_trace_is_noticed_in_numpys_format_too(path):
    write(toy_trace(), path, storage.NPZ)
    contents = members(path)
    repack(path, {**contents, "reads.npz": contents["steps.npz"]})
    assert complaint(path) == "table 'reads' does not match the checksum of the header"
    repack(path, {name: data for name, data in contents.items() if name != "reads.npz"})
    assert complaint(path) == "table 'reads' is missing"


def test_the_header_is_read_alone(path):
    expected = read(path).header
    contents = members(path)
    repack(path, {name: b"" if name != "header.json" else data for name, data in contents.items()})
    assert read_header(path) == expected
    path.write_bytes(b"")
    with pytest.raises(PagedKVError, match="truncated or not a trace"):
        read_header(path)


def test_equal_traces_are_equal_bytes(path, tmp_path):
    """The name of the file, its folder and the time of day do not enter."""
    digest = write(toy_trace(), tmp_path / "new" / "other.kvtrace")
    assert (tmp_path / "new" / "other.kvtrace").read_bytes() == path.read_bytes()
    assert digest == sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert write(read(path), path) == digest, "what was read is written as it was"


def test_the_layout_is_the_one_of_the_contract(path):
    """An uncompressed zip: a header that names the SHA-256 of each table, one Parquet file a table, fixed times."""
    contents = members(path)
    assert list(contents) == ["header.json", *(f"{name}.parquet" for name in TABLES)]
    sums = json.loads(contents["header.json"])["tables"]
    assert sums == {n: hashlib.sha256(data).hexdigest() for n, data in contents.items() if n != "header.json"}
    with zipfile.ZipFile(path) as archive:
        assert {(i.compress_type, i.date_time) for i in archive.infolist()} == {(0, (1980, 1, 1, 0, 0, 0))}
    for name, columns in TABLES.items():
        assert pq.read_schema(pa.BufferReader(contents[f"{name}.parquet"])).names == list(columns)


def test_a_trace_without_a_column_is_not_written(tmp_path):
    trace = toy_trace()
    del trace.reads["rank"]
    with pytest.raises(KeyError):
        write(trace, tmp_path / "toy.kvtrace")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file(tmp_path):
    assert complaint(tmp_path / "gone.kvtrace") == "cannot be read: No such file or directory"


def test_a_folder(tmp_path):
    assert complaint(tmp_path) == "cannot be read: Is a directory"


@pytest.mark.parametrize("data", [b"", b"step,request\n1,2\n", b"PK\x03\x04" + bytes(100)])
def test_not_a_zip(path, data):
    path.write_bytes(data)
    assert complaint(path) == "truncated or not a trace: File is not a zip file"


def test_another_zip(path):
    repack(path, {"readme.txt": b"hello"})
    assert "header is missing or broken" in complaint(path)


def test_truncated_anywhere(path):
    data = path.read_bytes()
    for length in [*range(0, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:length])
        assert complaint(path).startswith("truncated or not a trace: ")


def test_a_corrupted_byte_is_an_error_or_changes_nothing(path):
    """The bytes that make up the zip: first header, first entry of the directory, its end; and a few of what it holds.
    Some, such as time stamps, mean nothing. This once ended in an EOFError: a flipped size leads past the end."""
    data, good = path.read_bytes(), read(path)
    directory = data.index(b"PK\x01\x02")
    structure = [*range(42), *range(directory, directory + 57), *range(len(data) - 22, len(data))]
    content = range(100, directory, 211)
    refused = 0
    for place in (*structure, *content):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            trace = read(path)
        except PagedKVError:
            refused += 1
            assert complaint(path), place
        else:
            assert_equal(trace, good)
    assert refused >= len(content)


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_table(path, table):
    repack(path, {name: data for name, data in members(path).items() if name != f"{table}.parquet"})
    assert complaint(path) == f"table '{table}' is missing"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_another_trace(path, table):
    """A sound zip and a sound Parquet file, but not the one that the header names."""
    contents, buffer = members(path), pa.BufferOutputStream()
    rows = pq.read_table(pa.BufferReader(contents[f"{table}.parquet"]))
    pq.write_table(rows.slice(1), buffer)
    repack(path, {**contents, f"{table}.parquet": buffer.getvalue().to_pybytes()})
    assert complaint(path) == f"table '{table}' does not match the checksum of the header"


def test_a_header_without_a_checksum(path):
    sums = json.loads(members(path)["header.json"])["tables"]
    with_header(path, tables={name: value for name, value in sums.items() if name != "reads.parquet"})
    assert complaint(path) == "table 'reads' does not match the checksum of the header"


def signed(path, table: str, data: bytes) -> None:
    """Put `data` in place of a table, with the right checksum."""
    contents = members(path)
    header = json.loads(contents["header.json"])
    header["tables"][f"{table}.parquet"] = hashlib.sha256(data).hexdigest()
    repack(path, {**contents, f"{table}.parquet": data, "header.json": json.dumps(header).encode()})


def test_a_table_that_is_no_parquet(path):
    signed(path, "plans", b"no parquet")
    assert complaint(path).startswith("table 'plans' is broken: ")


def test_a_table_without_a_column(path):
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"step": np.arange(3), "request": np.arange(3)}), buffer)
    signed(path, "plans", buffer.getvalue().to_pybytes())
    assert complaint(path).startswith("table 'plans' is broken: ") and "kind" in complaint(path)


def test_a_newer_schema(path):
    with_header(path, schema=SCHEMA_VERSION + 1)
    assert complaint(path) == f"schema {SCHEMA_VERSION + 1} is newer than this version reads ({SCHEMA_VERSION})"


@pytest.mark.parametrize("changes", [{"schema": "one"}, {"schema": None}, {"tables": ["steps.parquet"]}])
def test_a_header_of_the_wrong_kind(path, changes):
    with_header(path, **changes)
    assert complaint(path).startswith("not a trace: header is missing or broken (")


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b"\xff\xfe", b"3"])
def test_a_broken_header(path, data):
    repack(path, {**members(path), "header.json": data})
    assert complaint(path).startswith("not a trace: header is missing or broken (")
