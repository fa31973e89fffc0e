"""From sessions to a request table: sessions in order of their start, each one's turns together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.workload.table import RequestTable

NO_IDS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session."""

    pause_s: float  # after the previous turn's finish; not used for the first turn
    prompt_tokens: int
    output_tokens: int
    known_tokens: int = 0
    ids: np.ndarray = field(default_factory=lambda: NO_IDS, repr=False)  # ceil(known_tokens / block_tokens) of them


@dataclass(frozen=True, slots=True)
class Session:
    start_s: float
    turns: Sequence[Turn]


def assemble(
    sessions: Sequence[Session], name: str, block_tokens: int, origin: Mapping[str, Any], limit: int | None = None
) -> RequestTable:
    """The table of `sessions` (the first `limit` to start), numbered from 0 in order of start; validated.

    Turn 0 arrives at its session's start, later turns after their pause (closed loop). Times are rounded to 1 us.
    """
    chosen = sorted((session for session in sessions if session.turns), key=lambda session: session.start_s)[:limit]
    turns = [turn for session in chosen for turn in session.turns]
    if not turns:
        raise PagedKVError(f"workload {name}: no request falls into the chosen time")
    sizes = np.array([len(session.turns) for session in chosen])
    first = np.cumsum(sizes) - sizes
    arrival_s = np.full(len(turns), np.nan)
    arrival_s[first] = np.round([float(session.start_s) for session in chosen], 6)
    pause_s = np.round([float(turn.pause_s) for turn in turns], 6)
    pause_s[first] = np.nan
    return RequestTable(
        name=name,
        block_tokens=block_tokens,
        origin=origin,
        arrival_s=arrival_s,
        pause_s=pause_s,
        prompt_tokens=np.array([turn.prompt_tokens for turn in turns], np.int64),
        output_tokens=np.array([turn.output_tokens for turn in turns], np.int64),
        session=np.repeat(np.arange(len(chosen), dtype=np.int64), sizes),
        turn=np.arange(len(turns), dtype=np.int64) - np.repeat(first, sizes),
        known_tokens=np.array([turn.known_tokens for turn in turns], np.int64),
        ids=np.concatenate([turn.ids for turn in turns]),
        id_offsets=np.cumsum([0, *(len(turn.ids) for turn in turns)], dtype=np.int64),
    ).validate()


def single_turns(
    arrival_s: np.ndarray,
    prompt_tokens: np.ndarray,
    output_tokens: np.ndarray,
    name: str,
    origin: Mapping[str, Any],
    block_tokens: int = 0,
    ids: np.ndarray = NO_IDS,
    known_tokens: np.ndarray | None = None,
) -> RequestTable:
    """A table in which every request is a session of its own; not validated. `ids` lie flat, as `known_tokens` say."""
    rows = len(arrival_s)
    known = np.zeros(rows, np.int64) if known_tokens is None else known_tokens
    pieces = -(-known // block_tokens) if block_tokens else known
    return RequestTable(
        name=name,
        block_tokens=block_tokens,
        origin=origin,
        arrival_s=np.round(arrival_s, 6),
        pause_s=np.full(rows, np.nan),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        session=np.arange(rows, dtype=np.int64),
        turn=np.zeros(rows, np.int64),
        known_tokens=known,
        ids=ids,
        id_offsets=np.r_[0, np.cumsum(pieces)].astype(np.int64),
    )
