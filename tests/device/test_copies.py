"""Which bytes arrive where, in how many calls, and in which order."""

import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.device import driver
from pagedkv.device.copies import TO_DEVICE, TO_HOST, CopyStream
from pagedkv.device.extents import ExtentMover, extents
from pagedkv.device.pinned import PinnedPool
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.model.decoder import empty_pool
from tests.device.manual import ManualLane, ManualMark
from tests.device.where import WHERE

SHAPE = Geometry("shape", 3, 64, 4, 2, 16, 128, 256)
SLOTS, HOST_SLOTS = 24, 40


@pytest.fixture(params=WHERE)
def pools(request):
    """(KV pool, host pool with blocks of the same size)."""
    gpu = empty_pool(SHAPE, SLOTS, request.param, torch.float32)
    with PinnedPool(HOST_SLOTS, gpu[0].nbytes, request.param) as host:
        yield gpu, host.tensor.view(torch.float32)


def ramp(pool: torch.Tensor) -> torch.Tensor:
    """Every element another number, which tells its block, layer, head, K or V, token and dimension."""
    return torch.arange(pool.numel(), dtype=torch.float32, device=pool.device).view(pool.shape)


def lanes(pools, *directions, **settings):
    """A manual lane for each direction, and copy streams on them."""
    made = [ManualLane() for _ in directions]
    return made, [CopyStream(d, *pools, lane=lane, **settings) for d, lane in zip(directions, made, strict=True)]


@pytest.fixture
def plain():
    """Pools on a CPU, of blocks of two numbers: slot number and its negative, in host memory plus 100."""
    gpu = torch.arange(8.0)[:, None] * torch.tensor([1.0, -1.0])
    return gpu, gpu + 100


# ------------------------------------------------------------ extents
@st.composite
def placements(draw):
    """Slots in both pools of n blocks, with long and short adjacent runs."""
    gpu = draw(st.permutations(range(24)))[: draw(st.integers(1, 24))]
    shift = draw(st.integers(0, 8))
    together = draw(st.booleans())
    host = [slot + shift for slot in gpu] if together else draw(st.permutations(range(32)))[: len(gpu)]
    return np.array(gpu), np.array(host)


@given(placements())
def test_extents_cover_every_block_once_and_nothing_could_be_merged_any_more(placement):
    gpu, host = placement
    covered, ends = [], set()
    for first_gpu, first_host, blocks in zip(*extents(gpu, host), strict=True):
        covered += [(first_gpu + i, first_host + i) for i in range(blocks)]
        assert (first_gpu, first_host) not in ends
        ends.add((first_gpu + blocks, first_host + blocks))
    assert sorted(covered) == sorted(zip(gpu.tolist(), host.tolist(), strict=True))


def test_extents_of_a_block_of_neighbours_and_of_those_that_are_so_in_one_pool_only():
    first_gpu, first_host, blocks = extents(np.array([5, 3, 4, 9, 10]), np.array([7, 5, 6, 20, 22]))
    assert (first_gpu.tolist(), first_host.tolist(), blocks.tolist()) == ([3, 9, 10], [5, 20, 22], [3, 1, 1])


# ------------------------------------------------------------ bytes
@pytest.mark.parametrize("method", ["batch", "single"])
def test_bug_14_layout_every_element_comes_back_to_its_place(pools, method):
    """Stored, wiped and loaded into other slots: block, layer, head, K/V, token and dimension are all told apart."""
    gpu, host = pools
    gpu.copy_(ramp(gpu))
    before = gpu.clone()
    out, back = (CopyStream(direction, gpu, host, method) for direction in (TO_HOST, TO_DEVICE))
    rng = np.random.default_rng(3)
    slots, places, others = rng.permutation(SLOTS)[:9], rng.permutation(HOST_SLOTS)[:9], rng.permutation(SLOTS)[:9]
    out.submit(slots, places).wait()
    assert torch.equal(host[places].view(9, SHAPE.layers, 2, 2, BLOCK_TOKENS, 16), before[slots].cpu())
    gpu.fill_(-1)
    if gpu.is_cuda:
        torch.cuda.synchronize()
    back.submit(others, places).wait()
    assert torch.equal(gpu[others], before[slots])
    rest = np.setdiff1d(np.arange(SLOTS), others)
    assert (gpu[rest] == -1).all()


@given(placements())
def test_copies_move_what_they_are_asked_to_and_nothing_else(placement):
    gpu_slots, host_slots = placement
    gpu, host = torch.randn(24, 3), torch.randn(32, 3)
    want_host, want_gpu = host.clone(), gpu.clone()
    want_host[host_slots] = gpu[gpu_slots]
    CopyStream(TO_HOST, gpu, host).submit(gpu_slots, host_slots)
    assert torch.equal(host, want_host) and torch.equal(gpu, want_gpu)
    host.normal_()
    want_gpu[gpu_slots] = host[host_slots]
    CopyStream(TO_DEVICE, gpu, host).submit(gpu_slots, host_slots)
    assert torch.equal(gpu, want_gpu)


def test_more_extents_than_the_table_had_room_for():
    gpu, host = torch.zeros(5000, 1), torch.arange(5000.0)[:, None]
    scattered = np.random.default_rng(0).permutation(5000)
    CopyStream(TO_DEVICE, gpu, host).submit(np.arange(5000), scattered)
    assert torch.equal(gpu, host[scattered])


@pytest.mark.parametrize("gpu,host", [([8], [0]), ([-1], [0]), ([0, 1], [7, 8]), ([0], [-1])])
def test_bug_13_capacity_a_slot_outside_of_its_pool_is_refused(plain, gpu, host):
    before = [pool.clone() for pool in plain]
    with pytest.raises(IndexError, match="8 slots"):
        CopyStream(TO_DEVICE, *plain).submit(np.array(gpu), np.array(host))
    assert all(torch.equal(pool, old) for pool, old in zip(plain, before, strict=True))


def test_pools_that_do_not_fit_each_other_are_refused():
    with pytest.raises(PagedKVError, match="12 bytes on the GPU, 8 in host"):
        CopyStream(TO_DEVICE, torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(PagedKVError, match="gaps"):
        CopyStream(TO_DEVICE, torch.zeros(4, 3), torch.zeros(3, 4).T)
    with pytest.raises(PagedKVError, match="'up' by method 'batch'"):
        CopyStream("up", torch.zeros(4, 3), torch.zeros(4, 3))


# ------------------------------------------------------------ launches
def test_bug_17_launches_are_counted(pools):
    """32 scattered blocks are one call by batch where the device has them, and as many calls as extents otherwise."""
    gpu, host = pools
    slots, places = np.arange(0, 20, 2), np.arange(0, 40, 4)
    for method in ("batch", "single"):
        copies = CopyStream(TO_HOST, gpu, host, method)
        many = copies.submit(slots, places)
        one = copies.submit(np.arange(8), np.arange(8) + 3)
        one.wait()
        batched = gpu.is_cuda and method == "batch"
        assert (many.launches, one.launches) == (1 if batched else 10, 1)
        assert (many.pieces, one.pieces) == (10, 8)


def test_a_batch_is_handed_over_as_arrays_of_addresses(monkeypatch):
    """What the driver would read: on a CPU, the addresses can be followed."""

    def batch(dsts, srcs, sizes, count, stream):
        table = [ctypes.cast(at, ctypes.POINTER(ctypes.c_size_t * count)).contents for at in (dsts, srcs, sizes)]
        for dst, src, size in zip(*table, strict=True):
            ctypes.memmove(dst, src, size)

    rng = np.random.default_rng(0)
    for to_device in (True, False):
        gpu, host = torch.randn(3000, 2), torch.randn(4000, 2)
        mover = ExtentMover(to_device, gpu, host)
        monkeypatch.setattr(mover, "_many", batch)
        for count in (1, 8, 2500):
            gpu_slots, host_slots = rng.permutation(3000)[:count], rng.permutation(4000)[:count]
            want = (host if to_device else gpu)[host_slots if to_device else gpu_slots].clone()
            assert mover(gpu_slots, host_slots, 0) == 1
            assert torch.equal((gpu if to_device else host)[gpu_slots if to_device else host_slots], want)


@pytest.mark.gpu
def test_bug_17_the_driver_here_copies_in_batches(pools):
    """Otherwise `batch` means one call an extent, and every rate of the report is another one."""
    assert driver.batch_copier(True, 0) is not None
    assert ExtentMover(True, *pools).batches


@pytest.mark.gpu
def test_a_batch_on_the_legacy_default_stream_is_refused(pools):
    with pytest.raises(PagedKVError, match="refuses a batch of 2 copies: CUDA_ERROR"):
        ExtentMover(True, *pools)(np.array([1, 3]), np.array([1, 5]), 0)
    # Nothing is left behind for torch to stumble on.
    assert torch.ones(3, device="cuda").sum().item() == 3


def test_a_driver_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(driver, "_LIBRARY", "libcuda-of-nobody.so")
    driver._library.cache_clear()
    with pytest.raises(PagedKVError, match="libcuda-of-nobody.so cannot be loaded"):
        driver.copier()


# ------------------------------------------------------------ order and time
def test_nothing_moves_before_its_turn(plain):
    """A lane works in order; two lanes in any order that the marks between them allow."""
    gpu, host = plain
    (store_lane, load_lane), (stores, loads) = lanes(plain, TO_HOST, TO_DEVICE)
    store = stores.submit(np.array([1]), np.array([4]))
    load = loads.submit(np.array([2]), np.array([4]), after=(store.end,))
    assert not load_lane.advance() and not load.done()
    assert host[4, 0] == 104 and gpu[2, 0] == 2
    assert store_lane.advance() and store.done() and host[4, 0] == 1
    load.wait()
    assert gpu[2, 0] == 1
    store.release()


def test_submissions_of_a_direction_complete_in_order_and_each_by_itself(plain):
    (lane,), (loads,) = lanes(plain, TO_DEVICE)
    first, second = (loads.submit(np.array([slot]), np.array([place])) for slot, place in ((1, 3), (5, 6)))
    lane.advance()
    assert first.done() and not second.done()
    second.wait()
    assert plain[0][:, 0].tolist() == [0, 103, 2, 3, 4, 106, 6, 7]


def test_a_load_that_fails_says_so_and_the_next_one_does_not(plain):
    (lane,), (loads,) = lanes(plain, TO_DEVICE)
    lane.fail_next()
    failing, next_one = (loads.submit(np.array([slot]), np.array([slot])) for slot in (1, 2))
    lane.advance()
    with pytest.raises(PagedKVError, match="failed"):
        failing.done()
    next_one.wait()
    assert plain[0][:3, 0].tolist() == [0, 1, 102]


def test_waiting_for_what_never_happens_is_noticed(plain):
    _, (loads,) = lanes(plain, TO_DEVICE)
    stuck = loads.submit(np.array([1]), np.array([1]), after=(ManualMark(),))
    with pytest.raises(AssertionError, match="never happens"):
        stuck.wait()


@pytest.mark.gpu
def test_marks_are_timed_and_used_again(pools):
    gpu, host = pools
    copies = CopyStream(TO_DEVICE, gpu, host)
    with copies.active():
        torch.cuda._sleep(2_000_000_000)  # about a second: the host is faster, whatever else it does
    late = copies.submit(np.arange(8), np.arange(8))
    assert not late.done()
    late.wait()
    assert late.done() and late.seconds > 0
    marks = {id(late.start), id(late.end)}
    late.release()
    again = copies.submit(np.arange(8), np.arange(8))
    again.wait()
    assert {id(again.start), id(again.end)} == marks and again.seconds > 0
