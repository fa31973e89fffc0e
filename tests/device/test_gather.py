"""Copies by a kernel: the same bytes as by any other method, whatever the size of a block."""

import numpy as np
import pytest
import torch
import triton

from pagedkv.device import gather
from pagedkv.device.copies import TO_DEVICE, TO_HOST, CopyStream
from pagedkv.device.pinned import PinnedPool
from pagedkv.errors import PagedKVError
from tests.device.where import WHERE

SIZES = (8, 24, 4096, 40_000)
"""Bytes of a block: many to a tile, one that fills no power of two, and one of more than a tile."""


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("method", ["gather8", "gather32"])
@pytest.mark.parametrize("size", SIZES)
def test_a_gather_moves_what_it_is_asked_to_and_nothing_else(where, method, size):
    rng = np.random.default_rng(size)
    gpu = torch.from_numpy(rng.integers(0, 256, (70, size), np.uint8)).to(where)
    with PinnedPool(90, size, where) as pool:
        host = pool.tensor
        host.copy_(torch.from_numpy(rng.integers(0, 256, (90, size), np.uint8)))
        slots, places = rng.permutation(70)[:45], rng.permutation(90)[:45]
        want = host.clone()
        want[places] = gpu[slots].cpu()
        CopyStream(TO_HOST, gpu, host, method).submit(slots, places).wait()
        assert torch.equal(host, want)
        want = gpu.clone()
        others = rng.permutation(70)[:45]
        want[others] = host[places].to(where)
        CopyStream(TO_DEVICE, gpu, host, method).submit(others, places).wait()
        assert torch.equal(gpu, want)


def test_a_gather_on_a_cpu_needs_the_interpreter(monkeypatch):
    monkeypatch.setattr(triton.knobs.runtime, "interpret", False)
    with pytest.raises(PagedKVError, match="needs a CUDA device"):
        gather.GatherMover(True, torch.zeros(2, 8), torch.zeros(2, 8), 8)
