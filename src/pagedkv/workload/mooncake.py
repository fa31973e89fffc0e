"""Reader of Mooncake's FAST'25 traces: one JSON object a line, plain or gzip-compressed.

Source: github.com/kvcache-ai/Mooncake, FAST25-release/traces (Apache-2.0). `hash_ids` name the 512-token pieces of
the prompt, the last one partly filled; they form a tree. The output is not identified: it stays private. There is no
session identity either, so every request is a session of its own with an absolute time.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.files import unpacked
from pagedkv.workload import parameters
from pagedkv.workload.prefixes import block_ids
from pagedkv.workload.rng import Stream
from pagedkv.workload.sessions import single_turns
from pagedkv.workload.table import RequestTable
from pagedkv.workload.window import window

BLOCK_TOKENS = 512


def read(
    path: str | Path,
    *,
    limit: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    rate_scale: float = 1.0,
    tick_s: float = 0.0,
    seed: int = 1,
) -> RequestTable:
    """The file's requests; `window` says what limit, start_s, duration_s and rate_scale do.

    `tick_s`: the file's times are rounded down to ticks of that length (3 s in the conversation trace); each request
    is moved to a uniformly drawn place within its tick, requests of a tick keeping their order.

    Raises PagedKVError naming file and line for lines that are no such object, a wrong number of ids, or times out
    of order.
    """
    tick_s = parameters.not_negative("tick_s", tick_s)
    stream = Stream(parameters.count("seed", seed, least=0), "mooncake", "ticks")
    requests = list(_requests(path))
    if not requests:
        raise PagedKVError(f"{path}: the file has no requests")
    arrival_s = np.array([request["timestamp"] / 1000 for request in requests])
    if tick_s:
        arrival_s = np.sort(arrival_s + [tick_s * stream.uniform() for _ in requests])
    prompt_tokens = np.array([request["input_length"] for request in requests], np.int64)
    table = single_turns(
        arrival_s,
        prompt_tokens,
        np.array([request["output_length"] for request in requests], np.int64),
        name=Path(path).name.split(".")[0],
        origin={},
        block_tokens=BLOCK_TOKENS,
        ids=np.concatenate([request["hash_ids"] for request in requests]),
        known_tokens=prompt_tokens,
    ).validate(path)
    return window(table, start_s=start_s, duration_s=duration_s, rate_scale=rate_scale, limit=limit)


def _requests(path: str | Path) -> Iterator[dict[str, Any]]:
    """The objects of the file, each checked."""
    last_ms = 0
    try:
        with Path(path).open("rb") as raw:
            for number, line in enumerate(unpacked(raw), start=1):
                where = f"{path}: line {number}"
                request = _parsed(where, line)
                if request["timestamp"] < last_ms:
                    raise PagedKVError(f"{where}: timestamp is before that of the line above")
                last_ms = request["timestamp"]
                yield request
    except (OSError, EOFError, zlib.error) as error:
        raise PagedKVError(f"{path}: cannot be read: {error}") from error


def _parsed(where: str, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise PagedKVError(f"{where}: not JSON: {error}") from error
    for name, least in (("timestamp", 0), ("input_length", 1), ("output_length", 1)):
        value = request.get(name) if isinstance(request, dict) else None
        if type(value) is not int or not least <= value < 2**40:
            raise PagedKVError(f"{where}: {name} is {value!r}, must be an integer of at least {least}")
    ids, pieces = request.get("hash_ids"), -(-request["input_length"] // BLOCK_TOKENS)
    if not isinstance(ids, list):
        raise PagedKVError(f"{where}: hash_ids must be a list")
    if len(ids) != pieces:
        raise PagedKVError(f"{where}: {len(ids)} hash_ids, must be {pieces} for {request['input_length']} tokens")
    return {**request, "hash_ids": block_ids(where, ids)}
