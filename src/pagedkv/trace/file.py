"""Trace files: an uncompressed zip of a JSON header and one Parquet file a table, verified when read."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file
from pagedkv.trace.schema import SCHEMA_VERSION, TABLES, Columns, Trace

HEADER = "header.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Fixed time stamp of zip members, so that equal traces are equal bytes."""

_BROKEN_ZIP = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OverflowError, struct.error, zlib.error)
"""What zipfile raises on bytes that are no sound zip, depending on where they are wrong."""


def write(trace: Trace, path: str | Path) -> str:
    """Write `trace` whole or not at all; returns the SHA-256 of the file. Equal traces give equal bytes."""
    members: dict[str, bytes] = {}
    for name, columns in TABLES.items():
        members[f"{name}.parquet"] = _parquet(columns, getattr(trace, name))
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    header = {**trace.header, "schema": SCHEMA_VERSION, "tables": sums}
    members = {HEADER: json.dumps(header, indent=1, sort_keys=True).encode(), **members}
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return sha256_of(path)


def read(path: str | Path) -> Trace:
    """Read and verify a trace. Raises PagedKVError naming file and cause when it is truncated, corrupted, incomplete
    or of a newer schema."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _BROKEN_ZIP as error:
        raise PagedKVError(f"{path}: truncated or not a trace: {str(error) or 'unexpected end'}") from error
    header = _header(path, members)
    tables = {}
    for name, columns in TABLES.items():
        member = f"{name}.parquet"
        if member not in members:
            raise PagedKVError(f"{path}: table '{name}' is missing")
        if hashlib.sha256(members[member]).hexdigest() != header["tables"].get(member):
            raise PagedKVError(f"{path}: table '{name}' does not match the checksum of the header")
        tables[name] = _columns(path, name, columns, members[member])
    return Trace(header=header, **tables)


def _header(path: str | Path, members: dict[str, bytes]) -> dict:
    try:
        header = json.loads(members[HEADER])
        schema = header["schema"]
        if not isinstance(header["tables"], dict):
            raise TypeError("'tables' is not a mapping")
        if not isinstance(schema, int):
            raise TypeError(f"'schema' is {schema!r}, not a number")
    except (KeyError, TypeError, ValueError) as error:
        raise PagedKVError(f"{path}: not a trace: header is missing or broken ({error})") from error
    if schema > SCHEMA_VERSION:
        raise PagedKVError(f"{path}: schema {schema} is newer than this version reads ({SCHEMA_VERSION})")
    return header


def _parquet(columns: dict[str, type], data: Columns) -> bytes:
    arrays = [pa.array(np.asarray(data[name], dtype)) for name, dtype in columns.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, names=list(columns)), buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def _columns(path: str | Path, table: str, columns: dict[str, type], data: bytes) -> Columns:
    try:
        file = pq.read_table(io.BytesIO(data))
        return {name: file.column(name).to_numpy().astype(dtype, copy=False) for name, dtype in columns.items()}
    except (KeyError, pa.ArrowException) as error:
        raise PagedKVError(f"{path}: table '{table}' is broken: {str(error).splitlines()[0]}") from error
