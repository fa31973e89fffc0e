"""Trace files: an uncompressed zip of a JSON header and one file a table, verified when read.

A table is Parquet, or NumPy's own format where the trace was written on a machine without pyarrow.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file
from pagedkv.trace.schema import SCHEMA_VERSION, TABLES, Columns, Trace

HEADER = "header.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Fixed time stamp of zip members, so that equal traces are equal bytes."""


def write(trace: Trace, path: str | Path, form: str | None = None) -> str:
    """Write `trace` whole or not at all; returns the SHA-256 of the file. Equal traces give equal bytes.

    `form` is one of `storage.FORMS`, by default the one that this machine usually writes.
    """
    form = form or storage.usual_form()
    members: dict[str, bytes] = {}
    for name, columns in TABLES.items():
        data = getattr(trace, name)
        arrays = {column: np.asarray(data[column], dtype) for column, dtype in columns.items()}
        members[f"{name}.{form}"] = storage.pack(arrays, form)
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
    members = _members(path)
    header = _header(path, members)
    return Trace(header=header, **{name: _table(path, name, members, header["tables"]) for name in TABLES})


def read_header(path: str | Path) -> dict[str, Any]:
    """The header alone, without a look at the tables. Raises PagedKVError as `read` does."""
    return _header(path, _members(path, only=HEADER))


def _members(path: str | Path, only: str | None = None) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist() if only in (None, name)}
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror or error}") from error
    except storage.BROKEN_ZIP as error:
        raise PagedKVError(f"{path}: truncated or not a trace: {str(error) or 'unexpected end'}") from error


def _header(path: str | Path, members: dict[str, bytes]) -> dict[str, Any]:
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


def _table(path: str | Path, table: str, members: dict[str, bytes], sums: dict[str, str]) -> Columns:
    form = next((form for form in storage.FORMS if f"{table}.{form}" in members), None)
    if form is None:
        raise PagedKVError(f"{path}: table '{table}' is missing")
    member = f"{table}.{form}"
    if hashlib.sha256(members[member]).hexdigest() != sums.get(member):
        raise PagedKVError(f"{path}: table '{table}' does not match the checksum of the header")
    try:
        found = storage.unpack(members[member], form)
        return {name: found[name].astype(dtype, copy=False) for name, dtype in TABLES[table].items()}
    except KeyError as error:
        raise PagedKVError(f"{path}: table '{table}' is broken: it has no column {error}") from error
    except ValueError as error:
        raise PagedKVError(f"{path}: table '{table}' is broken: {storage.first_line(error)}") from error
