"""The requests of a case: a request table, and who is given up when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.conformance.cases import Case
from pagedkv.conformance.random_requests import random_requests
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.workload.registry import build
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

Said = Mapping[str, Any]
"""A request as a file of cases lists it."""


@dataclass(frozen=True)
class Requests:
    table: RequestTable
    aborts: Mapping[int, float] = field(default_factory=dict)
    """Row -> time at which the client gives the request up."""


def requests_of(case: Case, data_dir: Path, sources: Mapping[str, Any]) -> Requests:
    """The requests of `case`; those of a public trace lie in `data_dir`, `sources` is config.yaml's catalogue."""
    said = case.requests
    try:
        if "workload" in said:
            return Requests(build(said["workload"], data_dir, sources, download=False))
        listed = random_requests(**said["random"]) if "random" in said else said["requests"]
        return _listed(case.name, listed)
    except PagedKVError as error:
        raise PagedKVError(f"case '{case.name}': {error}") from error


def _listed(name: str, listed: Sequence[Said]) -> Requests:
    """A request without `pause_s` begins a session, one with it is the next turn of the session that it names."""
    sessions: list[list[Said]] = []
    named: dict[str, list[Said]] = {}
    for said in _repeated(listed):
        if "pause_s" in said:
            if said["session"] not in named:
                raise PagedKVError(f"session '{said['session']}' has no first turn")
            named[said["session"]].append(said)
            continue
        sessions.append([said])
        if "session" in said:
            named[said["session"]] = sessions[-1]
    sessions.sort(key=lambda turns: turns[0].get("arrival_s", 0.0))
    known = KnownTokens()
    made = [Session(turns[0].get("arrival_s", 0.0), [_turn(said, known) for said in turns]) for turns in sessions]
    table = assemble(made, name, BLOCK_TOKENS, {"case": name})
    rows = [said for turns in sessions for said in turns]
    return Requests(table, {row: said["abort_s"] for row, said in enumerate(rows) if "abort_s" in said})


def _repeated(listed: Sequence[Said]) -> list[Said]:
    rows = []
    for said in listed:
        first, apart = said.get("arrival_s", 0.0), said.get("every_s", 0.0)
        for number in range(said.get("repeat", 1)):
            rows.append(said if "pause_s" in said else {**said, "arrival_s": first + number * apart})
    return rows


def _turn(said: Said, known: KnownTokens) -> Turn:
    prompt, output = said["prompt_tokens"], said["output_tokens"]
    ids = known.ids(said.get("known", []))[: (prompt + output) // BLOCK_TOKENS]
    return Turn(said.get("pause_s", 0.0), prompt, output, len(ids) * BLOCK_TOKENS, ids)


class KnownTokens:
    """Ids of blocks that begin with named texts: equal id, equal tokens behind equal tokens."""

    def __init__(self) -> None:
        self._ids: dict[tuple, int] = {}

    def ids(self, pieces: Sequence[Sequence[Any]]) -> np.ndarray:
        """Ids of the full blocks of [name, tokens] after [name, tokens]: a name stands for the beginning of a text."""
        ids, parent, label, room = [], -1, [], BLOCK_TOKENS
        for name, tokens in pieces:
            begun = 0
            while begun < tokens:
                count = min(room, tokens - begun)
                label.append((name, begun, count))
                begun, room = begun + count, room - count
                if room == 0:
                    parent = self._ids.setdefault((parent, *label), len(self._ids))
                    ids.append(parent)
                    label, room = [], BLOCK_TOKENS
        return np.array(ids, np.int64)
