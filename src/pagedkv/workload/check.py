"""What makes a request table valid. Each check names the first row that breaks it."""

from typing import TYPE_CHECKING

import numpy as np

from pagedkv.errors import PagedKVError

if TYPE_CHECKING:
    from pagedkv.workload.table import RequestTable

_IDS_A_TIME = 1 << 22  # bounds the memory that checking the id tree needs


def check_table(table: "RequestTable", where: str) -> None:
    """Raise PagedKVError `WHERE: row R: CAUSE` unless the table keeps the contract of docs/architecture.md."""
    if not len(table):
        raise PagedKVError(f"{where}: the table has no requests")
    if table.block_tokens < 0 or table.block_tokens % 16:
        raise PagedKVError(f"{where}: block_tokens is {table.block_tokens}, must be a multiple of 16")
    _check_times(table, where)
    _check_lengths(table, where)
    _check_sessions(table, where)
    _check_id_counts(table, where)
    _check_id_tree(table, where)


def _refuse(where: str, bad: np.ndarray, cause: str) -> None:
    """Raise for the first row at which `bad` holds."""
    if bad.any():
        raise PagedKVError(f"{where}: row {int(np.argmax(bad))}: {cause}")


def _check_times(table: "RequestTable", where: str) -> None:
    arrival, pause = table.arrival_s, table.pause_s
    _refuse(where, np.isinf(arrival) | np.isinf(pause), "arrival_s or pause_s is infinite")
    _refuse(where, np.isnan(arrival) == np.isnan(pause), "must have either arrival_s or pause_s")
    _refuse(where, (arrival < 0) | (pause < 0), "arrival_s or pause_s is negative")
    rows = np.flatnonzero(~np.isnan(arrival))
    late = np.zeros(len(table), bool)
    late[rows[1:][np.diff(arrival[rows]) < 0]] = True
    _refuse(where, late, "arrival_s is before that of an earlier row")


def _check_lengths(table: "RequestTable", where: str) -> None:
    _refuse(where, table.prompt_tokens < 1, "prompt_tokens must be at least 1")
    _refuse(where, table.output_tokens < 1, "output_tokens must be at least 1")
    beyond = (table.known_tokens < 0) | (table.known_tokens > table.prompt_tokens + table.output_tokens)
    _refuse(where, beyond, "known_tokens must be between 0 and prompt + output")


def _check_sessions(table: "RequestTable", where: str) -> None:
    order = np.argsort(table.session, kind="stable")
    session = table.session[order]
    first = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
    expected = np.empty(len(table), np.int64)
    expected[order] = np.arange(len(table)) - np.repeat(first, np.diff(np.r_[first, len(table)]))
    _refuse(where, table.turn != expected, "turn must count 0, 1, 2 … within its session")
    _refuse(where, (table.turn == 0) & np.isnan(table.arrival_s), "turn 0 of a session must have arrival_s")


def _check_id_counts(table: "RequestTable", where: str) -> None:
    offsets = table.id_offsets
    if len(offsets) != len(table) + 1 or offsets[0] != 0 or offsets[-1] != len(table.ids):
        raise PagedKVError(f"{where}: id_offsets do not cover ids")
    if offsets[-1] >= 2**31:
        raise PagedKVError(f"{where}: {offsets[-1]} block ids are more than a file holds (2**31 - 1)")
    expected = -(-table.known_tokens // table.block_tokens) if table.block_tokens else 0 * table.known_tokens
    _refuse(where, np.diff(offsets) != expected, "block_ids must name exactly the pieces of known_tokens")
    if not table.block_tokens:
        _refuse(where, table.known_tokens != 0, "known_tokens must be 0 where there are no block_ids")


def _check_id_tree(table: "RequestTable", where: str) -> None:
    """Every id has one predecessor wherever it stands (none at the start of a request: -1)."""
    ids = table.ids
    if not len(ids):
        return
    if ids.min() < 0:
        _refuse(where, _rows_of(table, ids < 0), "block_ids must not be negative")
    if ids.max() > 8 * len(ids) + 1024:  # sparse names: number them densely, so that an array can be indexed by id
        ids = np.unique(ids, return_inverse=True)[1]
    parent = np.full(ids.max() + 1, -2, np.int64)
    starts = np.unique(table.id_offsets[:-1])
    for begin in range(0, len(ids), _IDS_A_TIME):
        here = ids[begin : begin + _IDS_A_TIME]
        before = np.empty_like(here)
        before[1:], before[0] = here[:-1], ids[begin - 1] if begin else -1
        firsts = starts[np.searchsorted(starts, begin) : np.searchsorted(starts, begin + len(here))]
        before[firsts - begin] = -1
        fresh = parent[here] == -2
        parent[here[fresh][::-1]] = before[fresh][::-1]  # of equal ids the first one is written last, and stays
        wrong = parent[here] != before
        if wrong.any():
            row = int(np.searchsorted(table.id_offsets, begin + np.argmax(wrong), side="right")) - 1
            raise PagedKVError(f"{where}: row {row}: a block id stands behind different blocks")


def _rows_of(table: "RequestTable", bad: np.ndarray) -> np.ndarray:
    """Which rows own an id at which `bad` holds."""
    rows = np.zeros(len(table), bool)
    rows[np.searchsorted(table.id_offsets, np.flatnonzero(bad), side="right") - 1] = True
    return rows
