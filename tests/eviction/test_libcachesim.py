"""Misses of every policy that libCacheSim has, against libCacheSim, block by block."""

import numpy as np
import pytest

from pagedkv.eviction.registry import EVICTIONS
from tests.eviction.cache import misses, skewed_stream, unit_size_trace

libcachesim = pytest.importorskip("libcachesim")

ORACLES = {
    "fifo": "FIFO",
    "lru": "LRU",
    "clock": "Clock",
    "lfu": "LFU",
    "slru": "SLRU",
    "arc": "ARC",
    "lirs": "LIRS",
    "s3_fifo": "S3FIFO",
    "sieve": "Sieve",
}


@pytest.mark.parametrize("capacity", [40, 100])
@pytest.mark.parametrize("name", ORACLES)
def test_skewed(tmp_path, name, capacity):
    stream = skewed_stream(capacity, 20000, 600)
    oracle = getattr(libcachesim, ORACLES[name])(capacity)
    ratio, _ = oracle.process_trace(unit_size_trace(libcachesim, stream, tmp_path / "trace.bin"))
    assert misses(EVICTIONS.get(name)(), stream, capacity) == round(ratio * len(stream))
