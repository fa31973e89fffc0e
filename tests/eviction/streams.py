"""Streams of accesses to compare caches on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pagedkv.workload import kv_cache_tester, mooncake
from pagedkv.workload.table import RequestTable


def zipf() -> list[int]:
    """2000 blocks, each about as popular as its rank is low."""
    rng = np.random.default_rng(1)
    weights = 1 / np.arange(1, 2001)
    return rng.choice(2000, 4000, p=weights / weights.sum()).tolist()


def loop() -> list[int]:
    """A loop over 48 blocks, then one over 120, then one over 480; now and then a block that comes once."""
    rng = np.random.default_rng(2)
    stream = np.concatenate([np.arange(1000) % 48, np.arange(1000) % 120, np.arange(2000) % 480])
    once = rng.random(len(stream)) < 0.05
    stream[once] = 1000 + np.arange(once.sum())
    return stream.tolist()


def sessions() -> list[int]:
    """KV-like: ten sessions take turns; a turn reads all blocks of its session and adds one or two. They end, and are
    replaced; all begin with the same three blocks."""
    rng = np.random.default_rng(3)
    number = 3
    alive: list[list[int]] = [[0, 1, 2] for _ in range(10)]
    stream: list[int] = []
    while len(stream) < 4000:
        which = int(rng.integers(10))
        if rng.random() < 0.08:
            alive[which] = [0, 1, 2]
        for _ in range(int(rng.integers(1, 3))):
            alive[which].append(number)
            number += 1
        stream += alive[which]
    return stream[:4000]


MADE = {"zipf": zipf, "loop": loop, "sessions": sessions}


def _mooncake(path: Path) -> RequestTable:
    return mooncake.read(path)


def _agents(path: Path) -> RequestTable:
    return kv_cache_tester.read(path, limit=30)


PUBLIC: dict[str, tuple[str, Callable[[Path], RequestTable], int]] = {
    "conversation": ("conversation_trace.jsonl.gz", _mooncake, 4000),
    "synthetic": ("synthetic_trace.jsonl.gz", _mooncake, 4000),
    "agents": ("traces_0001-0300.tar.xz", _agents, 5000),
}
"""File, reader, and how many accesses of it to take."""


def public_stream(name: str, find: Callable[[str], Path]) -> list[int]:
    """Pieces of the requests in order, turn by turn where they have no time, renumbered from 0."""
    file, read, accesses = PUBLIC[name]
    table = read(find(file))
    rows = np.lexsort((table.session, table.turn)) if np.isnan(table.arrival_s).any() else range(len(table))
    pieces: list[int] = []
    for row in rows:
        pieces += table.block_ids(int(row)).tolist()
        if len(pieces) >= accesses:
            break
    return np.unique(pieces[:accesses], return_inverse=True)[1].tolist()
