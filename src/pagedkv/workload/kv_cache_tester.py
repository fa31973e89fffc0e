"""Reader of kv-cache-tester's coding-agent traces: a tar archive (any compression) of trace_NNNN.json files.

Source: github.com/callanjfox/kv-cache-tester, traces/ (Apache-2.0). What is read, and how:

- A trace is a session; its requests follow each other in a closed loop. The pause is the recorded think time. Where
  the previous request has no server time, or the request no think time, the pause is the difference of the two times,
  less the server time if it is known.
- Sessions start at random within `duration_s` (the traces say nothing about when they ran): the start is drawn from
  the seed and the file's name.
- `hash_ids` name the full 64-token pieces of the prompt, inside one trace; here they are numbered on from trace to
  trace, so that sessions share nothing. The rest of the prompt and the output are private.
- Sub-agents are left out unless `subagents` is true; then each is a session of its own that starts when the trace
  says (not when the engine gets there): they share nothing with their parent.
- An output of 0 tokens (11 requests) counts as 1: an engine always samples once.
"""

import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.workload import parameters
from pagedkv.workload.prefixes import block_ids
from pagedkv.workload.rng import Stream
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

BLOCK_TOKENS = 64


def read(
    path: str | Path,
    *,
    limit: int | None = None,
    duration_s: float = 3600.0,
    rate_scale: float = 1.0,
    seed: int = 1,
    subagents: bool = False,
    max_turns: int | None = None,
) -> RequestTable:
    """Sessions of the first `limit` traces in the archive, started within duration_s / rate_scale seconds.

    `max_turns` keeps the first turns of each session. The archive is streamed: one trace is held as JSON at a time.
    Raises PagedKVError naming archive, trace and request.
    """
    spread_s = parameters.positive("duration_s", duration_s) / parameters.positive("rate_scale", rate_scale)
    limit, max_turns = parameters.optional_count("limit", limit), parameters.optional_count("max_turns", max_turns)
    parameters.count("seed", seed, least=0)
    sessions, first_id = [], 0
    for name, trace in _traces(path, limit):
        start_s = Stream(seed, "kv-cache-tester", name).uniform() * spread_s
        highest = first_id
        for where, offset_s, requests in _agents(f"{path}: {name}", trace, subagents):
            numbers = range(len(requests))[:max_turns]
            turns = [_turn(f"{where}: request {number}", requests, number, first_id) for number in numbers]
            highest = max([highest, *(int(turn.ids.max()) + 1 for turn in turns if len(turn.ids))])
            sessions.append(Session(start_s + offset_s, turns))
        first_id = highest
    if not sessions:
        raise PagedKVError(f"{path}: the archive has no traces")
    return assemble(sessions, Path(path).name.split(".")[0], BLOCK_TOKENS, {})


def _agents(where: str, trace: dict[str, Any], subagents: bool) -> Iterator[tuple[str, float, list[dict[str, Any]]]]:
    """(where it stands, start after the session's in s, requests) of the main agent and, if wanted, its sub-agents."""
    requests = _requests(where, trace)
    yield where, 0.0, [request for request in requests if request.get("type") != "subagent"]
    for request in requests if subagents else []:
        if request.get("type") == "subagent":
            place = f"{where}: {request.get('agent_id')}"
            yield place, _number(place, request, "t"), _requests(place, request)


def _traces(path: str | Path, limit: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name, trace) of the first `limit` JSON files of the archive, in its order."""
    left = limit
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if not member.isfile() or not member.name.endswith(".json"):
                    continue
                if left == 0:
                    return
                left = None if left is None else left - 1
                name = Path(member.name).name
                try:
                    trace = json.load(archive.extractfile(member))
                except ValueError as error:
                    raise PagedKVError(f"{path}: {name}: not JSON: {error}") from error
                if not isinstance(trace, dict) or trace.get("block_size") != BLOCK_TOKENS:
                    raise PagedKVError(f"{path}: {name}: block_size must be {BLOCK_TOKENS}")
                yield name, trace
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise PagedKVError(f"{path}: cannot be read: {error}") from error


def _turn(where: str, requests: Sequence[dict[str, Any]], index: int, first_id: int) -> Turn:
    request = requests[index]
    prompt, output = _integer(where, request, "in", 1), _integer(where, request, "out", 0)
    ids = _list(where, request, "hash_ids")
    if len(ids) != prompt // BLOCK_TOKENS:
        raise PagedKVError(f"{where}: {len(ids)} hash_ids, must be {prompt // BLOCK_TOKENS} for {prompt} tokens")
    pieces = block_ids(where, ids)
    pause_s = _pause_s(where, requests[index - 1], request) if index else 0.0
    known = prompt // BLOCK_TOKENS * BLOCK_TOKENS
    return Turn(pause_s, prompt, max(1, output), known, pieces + first_id)


def _pause_s(where: str, before: dict[str, Any], request: dict[str, Any]) -> float:
    difference = _number(where, request, "t") - _number(where, before, "t")
    if difference < 0:
        raise PagedKVError(f"{where}: t is before that of the request above")
    if "api_time" not in before:
        return difference
    if "think_time" in request:
        return _number(where, request, "think_time")
    return max(0.0, difference - _number(where, before, "api_time"))


def _list(where: str, item: dict[str, Any], name: str) -> list[Any]:
    value = item.get(name)
    if not isinstance(value, list):
        raise PagedKVError(f"{where}: {name} must be a list")
    return value


def _requests(where: str, item: dict[str, Any]) -> list[dict[str, Any]]:
    requests = _list(where, item, "requests")
    for number, request in enumerate(requests):
        if not isinstance(request, dict):
            raise PagedKVError(f"{where}: request {number}: not an object")
    return requests


def _integer(where: str, item: dict[str, Any], name: str, least: int) -> int:
    value = item.get(name)
    if type(value) is not int or not least <= value < 2**31:
        raise PagedKVError(f"{where}: {name} is {value!r}, must be an integer of at least {least}")
    return value


def _number(where: str, item: dict[str, Any], name: str) -> float:
    value = item.get(name)
    if type(value) not in (int, float) or not 0 <= value < 1e12:
        raise PagedKVError(f"{where}: {name} is {value!r}, must be a number of at least 0")
    return float(value)
