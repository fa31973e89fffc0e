"""What a step waits for, in numbers worked by hand. Unless stated: a block 1 ms, a submission 0.5 ms, 2 layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.device.calibration import Calibration, ComputeCost, CopyCost
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.demand import DLayer, DPage, DStep, demand_mode, pipeline_stall_s
from pagedkv.engine.transfers import PREFETCH
from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry
from pagedkv.prefetch.registry import PREFETCHERS
from tests.engine.build import MS, calibration, put_on_host, toy_memory

NONE = np.zeros(0, np.int64)


def entering(demand, blocks=3, submit_s=0.5 * MS):
    """A memory at its first boundary, and the contents of a request that lies in host memory."""
    memory = toy_memory(12, demand=demand, calibration=calibration(submit_s=submit_s))
    contents = put_on_host(memory, blocks)
    memory.begin(0)
    return memory, contents


def enter(memory, contents, request=0):
    memory.enter(request, contents, NONE)
    memory.reserve(contents)


@pytest.mark.parametrize(
    "demand, compute_ms, stall_ms",
    [
        (DStep(), 1, 3.5),  # one submission: 0.5 + 3 x 1
        (DPage(), 1, 4.5),  # three submissions: 3 x (0.5 + 1)
        (DPage(100.0), 1, 4.8),  # and a fault of 0.1 before each
        (DPage(100.0, 1024), 1, 10.2),  # 4 pages a block: 3 x 4 x (0.1 + 0.5 + 0.25)
        # D-layer: layer 0 is there after 0.5 + 3 x 0.5 = 2, layer 1 after 3.5. Layers compute for 0.5 each: layer 0
        # ends at 2.5, layer 1 at max(2.5, 3.5) + 0.5 = 4, which is 3 later than without loads.
        (DLayer(), 1, 3.0),
        # With 5 ms a layer the load of layer 1 hides behind layer 0: only the 2 ms of layer 0 remain.
        (DLayer(), 10, 2.0),
    ],
)
def test_stall_by_hand(demand, compute_ms, stall_ms):
    memory, contents = entering(demand)
    enter(memory, contents)
    assert memory.settle(compute_ms * MS) == pytest.approx(stall_ms * MS)
    assert memory.counts.demand_loads == 3
    assert memory.counts.stall_s == pytest.approx(stall_ms * MS)
    assert memory.compute_start_s == pytest.approx(stall_ms * MS)


@pytest.mark.parametrize("demand", [DStep(), DPage(20.0), DLayer()])
def test_resident_and_new_blocks_cost_nothing(demand):
    memory, contents = entering(demand)
    enter(memory, contents)
    memory.settle(MS)
    memory.tiers.device.advance_to(1.0)
    memory.begin(1)
    memory.enter(1, contents, NONE)
    memory.reserve(contents)
    memory.create(memory.tiers.states.new(2))
    assert memory.settle(MS) == 0.0
    assert memory.counts.demand_loads == 3, "a first write is never a miss, and neither is a hit"


@pytest.mark.parametrize("demand", [DStep(), DPage(), DLayer()])
def test_a_block_of_two_entering_requests_is_loaded_once(demand):
    memory, contents = entering(demand)
    enter(memory, contents, 0)
    enter(memory, contents, 1)
    memory.settle(MS)
    assert memory.counts.demand_loads == 3
    assert memory.tiers.device.h2d.bytes == 3 * memory.tiers.block_bytes


@pytest.mark.parametrize(
    "demand, stall_ms, exposed_ms",
    [
        # The prefetch issued at 0 arrives at 1.5; the demand load of the other block follows it: 1.5 + 0.5 + 1.
        (DStep(), 3.0, 1.5),
        # The late block is a fault of 0.1 that pays the remainder, 1.4; the other faults at 1.5: 0.1 + 0.5 + 1.
        (DPage(100.0), 3.1, 1.4),
        # From 1.5 on layer 0 of the other takes 0.5 + 0.5, layer 1 0.5 more: 2.5, 3.0; compute ends at 3.5.
        (DLayer(), 2.5, 1.5),
    ],
)
def test_a_late_prefetch_pays_the_remainder(demand, stall_ms, exposed_ms):
    memory, contents = entering(demand, blocks=2)
    memory.tiers.states.prefetched_step[contents[:1]] = 0
    memory.tiers.load(contents[:1], PREFETCH)
    memory.begin(1)
    enter(memory, contents)
    assert memory.settle(MS) == pytest.approx(stall_ms * MS)
    counts = memory.counts
    assert (counts.demand_loads, counts.useful, counts.late, counts.timely) == (1, 1, 1, 0)
    assert (counts.same_step, counts.cross_step) == (0, 1)
    assert counts.exposed_late_s == pytest.approx(exposed_ms * MS)


def test_a_prefetched_layer_is_not_loaded_again():
    """Block 0 has layer 0 already. D-layer moves 1 + 2 pieces: layer 0 is there after 0.5 + 0.5 = 1, layer 1 after 2;
    with 0.5 of compute a layer the step ends at 2.5, 1.5 later than without loads. 1.5 blocks are missed."""
    memory, contents = entering(DLayer(), blocks=2)
    memory.tiers.load(contents[:1], PREFETCH, layers=1)
    memory.tiers.device.advance_to(1.0)
    memory.begin(1)
    enter(memory, contents)
    assert memory.settle(MS) == pytest.approx(1.5 * MS)
    assert memory.counts.demand_loads == 1.5


def test_pages_of_64_kib_of_a_2_mib_block():
    """A block of llama-3-8b is 32 pages of 64 KiB. Each costs a fault of 20 us, a submission of 8 us, a piece of
    0.55 + (1.35 - 0.55) / 6 us (64 KiB is one of the six doublings from 32 KiB to 2 MiB) and 65536 / 55.3e3 us."""
    copy = CopyCost(55.3e9, 8e-6, ((32768, 0.55e-6), (2097152, 1.35e-6)))
    costs = Calibration("x", "x", "x", copy, copy, 110.6e9, ComputeCost(1e18, 1e24, 0.0))
    space = Logical(lambda request: NONE)
    memory = build_memory(
        costs, geometry("llama-3-8b"), space, PREFETCHERS.get("none")(), pool_blocks=4, demand=DPage(20.0, 65536)
    )
    contents = put_on_host(memory, 1)
    memory.begin(0)
    enter(memory, contents)
    assert memory.settle(MS) == pytest.approx(32 * (20 + 8 + 0.55 + 0.8 / 6 + 65536 / 55.3e3) * 1e-6)
    assert memory.counts.demand_loads == 1


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.floats(0.001, 10))
def test_pipeline_stall_against_the_recursion(gaps, compute):
    """Layer l starts when layer l-1 is done and its pieces are there; arrivals grow from layer to layer."""
    arrival = np.cumsum(gaps)
    end = 0.0
    for at in arrival:
        end = max(end, at) + compute / len(arrival)
    assert pipeline_stall_s(arrival, compute) == pytest.approx(end - compute, abs=1e-9)


def test_async_is_refused_in_replay():
    with pytest.raises(PagedKVError, match="D-async is refused in replay"):
        demand_mode("D-async")
    with pytest.raises(PagedKVError, match="demand mode 'D-none' is unknown; known are D-page, D-step"):
        demand_mode("D-none")
    assert demand_mode("D-page", 50.0, 65536) == DPage(50.0, 65536)


def test_an_early_prefetch_is_counted_at_its_first_miss_only():
    memory, contents = entering(DStep())
    memory.tiers.states.wasted[contents[:2]] = True
    memory.count_misses(contents)
    memory.count_misses(contents)
    assert (memory.counts.early, memory.counts.demand_loads) == (2, 6)
