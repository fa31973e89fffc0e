"""Pinned memory (bug class 16): what was asked for, pinned for sure, and a clear word where it cannot be had."""

import mmap
from pathlib import Path

import pytest
import torch

from pagedkv.device import driver, pinned
from pagedkv.device.pinned import PinnedPool
from pagedkv.errors import PagedKVError
from tests.device.where import WHERE


def resident_bytes(address: int) -> int:
    """Physical memory behind the mapping that holds `address`."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and ":" not in first:
            low, high = (int(part, 16) for part in first.split("-"))
            inside = low <= address < high
        elif inside and first == "Rss:":
            return int(rest.split()[0]) << 10
    raise AssertionError("the address is not mapped")


@pytest.mark.parametrize("where", WHERE)
def test_bug_16_the_pool_takes_the_size_that_was_asked_for(where, monkeypatch):
    """33 MiB, which a power of two would make 64, all of it touched and zero."""
    asked = []
    real = mmap.mmap
    monkeypatch.setattr(pinned.mmap, "mmap", lambda fd, size, **how: asked.append(size) or real(fd, size, **how))
    with PinnedPool(33, 1 << 20, where) as pool:
        assert asked == [33 << 20]
        assert (pool.tensor.shape, pool.tensor.dtype) == ((33, 1 << 20), torch.uint8)
        assert not pool.tensor.any()
        # Neighbouring mappings of the same kind may have been merged with ours. Sandboxes with a GPU count otherwise.
        assert where == "cuda" or resident_bytes(pool.tensor.data_ptr()) >= 33 << 20


@pytest.mark.parametrize("where", WHERE)
def test_blocks_of_another_type_are_views(where):
    with PinnedPool(3, 64, where) as pool:
        numbers = pool.tensor.view(torch.bfloat16)
        numbers[1] = 2.5
        assert numbers.shape == (3, 32) and pool.tensor[1].any() and not pool.tensor[0].any()


@pytest.mark.gpu
def test_bug_16_the_memory_is_pinned_until_it_is_closed():
    with PinnedPool(5, 1 << 20, "cuda") as pool:
        kept = pool.tensor
        assert kept.is_pinned() and kept.view(torch.bfloat16)[2:].is_pinned()
    assert not kept.is_pinned()
    pool.close()


@pytest.mark.gpu
def test_bug_16_the_measured_rate_is_that_of_pinned_memory():
    """Pageable memory reaches 3 GB/s on the machine that the report is made on."""
    with PinnedPool(256, 1 << 20, "cuda") as pool:
        gpu = torch.empty_like(pool.tensor, device="cuda")
        assert min(rate(gpu, pool.tensor), rate(pool.tensor, gpu)) > 8


def rate(target: torch.Tensor, source: torch.Tensor) -> float:
    """The best of three copies, in GB/s."""
    seconds = []
    for _ in range(3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        target.copy_(source, non_blocking=True)
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) * 1e-3)
    return source.nbytes / min(seconds) / 1e9


def test_bug_16_memory_that_is_not_there_is_a_clear_error():
    with pytest.raises(PagedKVError, match=r"1\d+\.\d GB does not fit into .* of free memory: ask for fewer"):
        PinnedPool(1 << 26, 1 << 21, "cpu")


def test_a_pool_without_blocks_is_refused():
    with pytest.raises(PagedKVError, match="0 blocks of 64 bytes"):
        PinnedPool(0, 64, "cpu")


def test_bug_16_a_system_that_does_not_pin_is_a_clear_error(monkeypatch):
    """Not memory that is quietly left pageable."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(driver, "register", lambda address, size: "CUDA_ERROR_OUT_OF_MEMORY")
    monkeypatch.setattr(driver, "unregister", lambda address: pytest.fail("was never registered"))
    with pytest.raises(PagedKVError, match=r"0\.1 GB .* cannot be pinned \(CUDA_ERROR_OUT_OF_MEMORY\).*ulimit"):
        PinnedPool(100, 1 << 20, "cuda")


def test_bug_16_memory_that_turns_out_not_to_be_pinned_is_given_back(monkeypatch):
    given_back = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: False)
    monkeypatch.setattr(driver, "register", lambda address, size: "")
    monkeypatch.setattr(driver, "unregister", lambda address: given_back.append(address) or "")
    with pytest.raises(PagedKVError, match="does not see it as pinned"):
        PinnedPool(3, 64, "cuda")
    assert len(given_back) == 1


@pytest.mark.gpu
def test_bug_16_the_driver_names_its_errors_and_torch_goes_on():
    torch.ones(1, device="cuda")
    assert driver.register(0, 0).startswith("CUDA_ERROR")
    assert torch.ones(3, device="cuda").sum().item() == 3
