"""Bounds against exhaustive search on tiny random instances: no stall bound above the optimum, and B1's loads exact.

`pytest -s` prints in how many of them the linear program reaches the optimum.
"""

import numpy as np
import pytest

from pagedkv.bound import Bounds, block_lp_stall_s, bound_for, intervals_of, link_time
from tests.bound.toy import Exhaustive, script_of

INSTANCES = 510


class Instance:
    """4-7 blocks, 3 or 4 slots, 4-8 steps of 1-5 slots of compute, now and then idle, a load takes 2, 3 or 5 slots.

    In half of them all blocks exist before the cut; in the others each is created by its first use, and the cut, if
    any, lies somewhere in between.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        blocks, self.capacity = int(rng.integers(4, 8)), int(rng.integers(3, 5))
        steps, widest = int(rng.integers(4, 9)), int(rng.integers(2, self.capacity + 1))
        sets = [{block} for block in range(blocks)] if rng.random() < 0.5 else []
        self.cut = len(sets)
        for _ in range(steps):
            sets.append(set(rng.choice(blocks, int(rng.integers(1, widest + 1)), replace=False).tolist()))
        if self.cut == 0 and rng.random() < 0.4:
            self.cut = int(rng.integers(0, steps))
        number = {block: i for i, block in enumerate(dict.fromkeys(b for used in sets for b in sorted(used)))}
        self.sets = [{number[block] for block in used} for used in sets]
        self.compute = rng.integers(1, 6, len(sets)).tolist()
        self.idle = (rng.integers(1, 4, len(sets)) * (rng.random(len(sets)) < 0.2)).tolist()
        self.fetch = int(rng.choice([2, 3, 5]))
        self.script = script_of(self.sets, self.compute, self.idle)
        self.search = Exhaustive(self.sets, self.capacity, self.cut)

    def bounds(self, capacity: int = 0, fetch: float = 0.0, layers: int = 1) -> Bounds:
        return bound_for(self.script, capacity or self.capacity, fetch or float(self.fetch), self.cut, layers)


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    return [Instance(seed) for seed in range(INSTANCES)]


def test_least_loads_are_the_exhaustive_minimum(instances):
    for seed, instance in enumerate(instances):
        assert instance.bounds().min_loads == instance.search.loads(), f"instance {seed}"


def test_no_stall_bound_is_above_the_optimum_and_most_reach_it(instances):
    optimum, reached = 0, 0
    for seed, instance in enumerate(instances):
        bounds, least = instance.bounds(), instance.search.stall(instance.compute, instance.fetch, instance.idle)
        assert bounds.b1_stall_s <= least + 1e-9, f"instance {seed}"
        assert bounds.b2_stall_s <= least + 1e-9, f"instance {seed}"
        assert bounds.b4_stall_s <= least + 1e-9, f"instance {seed}"
        optimum += least
        reached += bounds.b4_stall_s == pytest.approx(least, abs=1e-6)
    print(f"B4 is the optimum in {reached / INSTANCES:.1%} of {INSTANCES} instances")
    assert optimum > 0, "the instances must force stall, or the test says nothing"
    assert reached >= 0.96 * INSTANCES, "whole blocks and whole loads cost nearly nothing on tiny instances"


def test_programs_over_blocks_and_over_groups_and_windows_have_one_value(instances):
    for seed, instance in enumerate(instances):
        bounds, link = instance.bounds(), link_time(instance.script, instance.cut)
        intervals = intervals_of(instance.script)
        b3 = block_lp_stall_s(intervals, instance.capacity, float(instance.fetch), link, instance.cut)
        assert bounds.b4_stall_s == pytest.approx(b3, abs=1e-6), f"instance {seed}"
        assert bounds.b4_stall_s == pytest.approx(bounds.b2_stall_s, abs=1e-6), f"instance {seed}"
        assert bounds.b4_stall_s >= bounds.b1_stall_s - 1e-6, f"instance {seed}"


def test_layers_only_lower_a_bound(instances):
    for seed, instance in enumerate(instances):
        whole, layered = instance.bounds(), instance.bounds(layers=4)
        for name in ("b1_stall_s", "b2_stall_s", "b4_stall_s"):
            assert getattr(layered, name) <= getattr(whole, name) + 1e-6, f"instance {seed}"
        assert layered.b4_stall_s >= layered.b2_stall_s - 1e-6, f"instance {seed}"


@pytest.mark.parametrize("layers", [1, 4])
def test_more_capacity_and_faster_links_never_raise_a_bound(instances, layers):
    for seed, instance in enumerate(instances):
        bounds = instance.bounds(layers=layers)
        roomier = instance.bounds(capacity=instance.capacity + 1, layers=layers)
        faster = instance.bounds(fetch=instance.fetch * 0.7, layers=layers)
        for other in (roomier, faster):
            assert other.min_loads <= bounds.min_loads, f"instance {seed}"
            assert other.b1_stall_s <= bounds.b1_stall_s, f"instance {seed}"
            assert other.b2_stall_s <= bounds.b2_stall_s, f"instance {seed}"
            assert other.b4_stall_s <= bounds.b4_stall_s + 1e-6, f"instance {seed}"
