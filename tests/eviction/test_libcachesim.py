"""Misses of every policy that libCacheSim has, against libCacheSim, block by block.

LIRS is missing here: libCacheSim's differs from the paper's in one rule, see test_lirs.py.
"""

from functools import cache

import pytest

from pagedkv.eviction.registry import EVICTIONS
from tests.eviction.cache import min_misses, misses, unit_size_trace
from tests.eviction.streams import MADE, PUBLIC, public_stream

libcachesim = pytest.importorskip("libcachesim")

ORACLES = {
    "fifo": "FIFO",
    "lru": "LRU",
    "clock": "Clock",
    "lfu": "LFU",
    "slru": "SLRU",
    "arc": "ARC",
    "s3_fifo": "S3FIFO",
    "sieve": "Sieve",
    "min": "Belady",
}


@cache
def stream_of(name: str, find=None) -> list[int]:
    return MADE[name]() if name in MADE else public_stream(name, find)


def compare(name: str, stream: list[int], capacity: int, folder) -> None:
    oracle = getattr(libcachesim, ORACLES[name])(capacity)
    ratio, _ = oracle.process_trace(unit_size_trace(libcachesim, stream, folder / "trace.bin"))
    missed = min_misses(stream, capacity) if name == "min" else misses(EVICTIONS.get(name)(), stream, capacity)
    assert missed == round(ratio * len(stream))


@pytest.mark.parametrize("capacity", [40, 100, 400])
@pytest.mark.parametrize("stream", MADE)
@pytest.mark.parametrize("name", ORACLES)
def test_made(tmp_path, name, stream, capacity):
    compare(name, stream_of(stream), capacity, tmp_path)


@pytest.mark.parametrize("capacity", [100, 1000])
@pytest.mark.parametrize("stream", PUBLIC)
@pytest.mark.parametrize("name", ORACLES)
def test_public(tmp_path, public, name, stream, capacity):
    compare(name, stream_of(stream, public), capacity, tmp_path)
