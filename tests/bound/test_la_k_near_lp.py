"""The plan nearly attains the bound: LA-k with true lengths and k*, or without horizon, on rotations with rho < 1."""

import numpy as np
import pytest

from pagedkv.bound import bound_for, k_star
from tests.bound.rotation import QUANTUM, measured, plain, replay, rotation

REQUESTS, OUTPUTS = 12, 60
"""Two of 12 requests run at a time; a batch reads 42 blocks at most, so that 80 hold two batches, and 50 hardly one."""


class Place:
    """A rotation at some capacity and link, under `none` + `lru`: its stall, B4, rho and k*."""

    def __init__(self, calibration, blocks, scale) -> None:
        self.script = rotation(REQUESTS, OUTPUTS)
        self.at = {"blocks": blocks, "warmup": self.script.steps // 5}
        self.at |= {"calibration": calibration, "link_scale": scale}
        none = replay(self.script, "none", {}, **self.at)
        device, quantum = none.tiers.device, none.issuer.settings.quantum_blocks
        loads = np.array([len(contents) for _, contents in none.misses])
        step_s = float(self.script.compute_s[self.at["warmup"] :].mean())
        self.tau_s = device.block_load_s
        self.rho = loads.mean() * self.tau_s / (QUANTUM * step_s)
        self.k_star = k_star(loads, self.tau_s + device.h2d.cost.submit_s / quantum, step_s)
        self.none_s = none.counts.stall_s
        self.b4_s = bound_for(self.script, none.tiers.pool.usable, self.tau_s, self.at["warmup"]).b4_stall_s

    def gap(self, k, eviction) -> float:
        """Stall of LA-k above B4, as a share of the stall of `none` + `lru`."""
        memory = replay(self.script, "la_k", {"k": k, "plan": "true"}, eviction=eviction, **self.at)
        return (memory.counts.stall_s - self.b4_s) / self.none_s


@pytest.mark.parametrize("scale", [0.1, 0.2])
@pytest.mark.parametrize("blocks", [60, 80])
def test_la_k_is_within_5_percent_of_the_program(blocks, scale):
    place = Place(measured(), blocks, scale)
    assert place.rho < 1
    assert place.b4_s < 0.2 * place.none_s, "there must be something to win"
    for k in (place.k_star, None):
        for eviction in ("plan_aware", "min"):
            assert -1e-9 <= place.gap(k, eviction) < 0.05, f"k={k} {eviction}"


@pytest.mark.parametrize("blocks", [50, 60, 80])
def test_what_remains_are_submissions_and_stores_beside_the_loads(blocks):
    """On a link without them LA-k has the stall of the program, also where most stall is forced."""
    place = Place(plain(), blocks, 0.1)
    assert place.rho < 1
    for k in (place.k_star, None):
        assert -1e-9 <= place.gap(k, "plan_aware") < 0.002, f"k={k}"


def test_a_horizon_below_k_star_leaves_stall():
    place = Place(measured(), 80, 0.1)
    assert place.k_star == 4
    gaps = [place.gap(k, "plan_aware") for k in (0, 1, 2, 3, 4)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.3 and gaps[2] > 0.05 > gaps[4]
