"""Reader of Azure's LLM inference traces: CSV with TIMESTAMP, ContextTokens, GeneratedTokens.

Source: github.com/Azure/AzurePublicDataset (CC-BY 4.0). No prefixes and no sessions: every request stands alone.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.workload.sessions import single_turns
from pagedkv.workload.table import RequestTable
from pagedkv.workload.window import window

_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?")


def read(
    path: str | Path,
    *,
    limit: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    rate_scale: float = 1.0,
) -> RequestTable:
    """The file's requests, arrival counted from its first; `window` says what the parameters do.

    Raises PagedKVError naming file and line for a missing column, a value that is no time or no positive integer,
    or times out of order.
    """
    rows = list(_rows(path))
    if not rows:
        raise PagedKVError(f"{path}: the file has no requests")
    time_ns = np.array([row[0] for row in rows], np.int64)
    backwards = np.flatnonzero(np.diff(time_ns) < 0)
    if len(backwards):
        raise PagedKVError(f"{path}: line {backwards[0] + 3}: TIMESTAMP is before that of the line above")
    lengths = np.array([row[1:] for row in rows], np.int64)
    arrival_s = (time_ns - time_ns[0]) / 1e9
    table = single_turns(arrival_s, lengths[:, 0], lengths[:, 1], name=Path(path).stem, origin={})
    return window(table, start_s=start_s, duration_s=duration_s, rate_scale=rate_scale, limit=limit)


def _rows(path: str | Path) -> Iterator[tuple[int, int, int]]:
    """(time in ns, prompt tokens, output tokens) of each line."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            for name in _COLUMNS:
                if name not in header:
                    raise PagedKVError(f"{path}: column {name} is missing")
            places = [header.index(name) for name in _COLUMNS]
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                if len(row) != len(header):
                    raise PagedKVError(f"{where}: {len(row)} fields, must be {len(header)}")
                time, prompt, output = (row[place] for place in places)
                yield _time(where, time), _tokens(where, _COLUMNS[1], prompt), _tokens(where, _COLUMNS[2], output)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PagedKVError(f"{path}: cannot be read: {error}") from error


def _time(where: str, text: str) -> int:
    """Nanoseconds since 1970."""
    try:
        if _TIMESTAMP.fullmatch(text):
            return int(np.datetime64(text, "ns").astype(np.int64))
    except ValueError:
        pass
    raise PagedKVError(f"{where}: TIMESTAMP is {text!r}, must be a time such as 2023-11-16 18:15:46.6805900")


def _tokens(where: str, name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) < 2**31:
        return int(text)
    raise PagedKVError(f"{where}: {name} is {text!r}, must be an integer of at least 1")
