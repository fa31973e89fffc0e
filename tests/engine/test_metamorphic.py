"""Relations that hold between runs whatever the workload: what changes one thing must change no other."""

import math

import numpy as np
import pytest

from pagedkv.engine.demand import DLayer, DPage, DStep
from pagedkv.engine.issuer import IssuerSettings
from pagedkv.engine.replay import Rotation
from tests.engine.build import calibration, replay
from tests.engine.recorded import POOL, rotating

POLICIES = [
    ("next_n", {"n": 4}),
    ("next_n", {"n": 2, "trigger": "miss"}),
    ("linux_vma", {}),
    ("leap_paper", {}),
    ("la_k", {"k": 8}),
    ("la_k", {"k": None, "plan": "true"}),
    ("clairvoyant", {}),
]
DEMANDS = [DStep(), DPage(), DLayer()]


@pytest.fixture(scope="module")
def script():
    return rotating()


def run(script, policy="none", params=None, *, pool=POOL, **options):
    options.setdefault("calibration", calibration(block_s=3e-4, submit_s=2e-5))
    made = replay(script, policy, pool=pool, rotation=Rotation(2, 4), params=params or {}, **options)
    made.run()
    made.memory.tiers.assert_consistency()
    return made


def misses(made):
    return [(step, blocks.tolist()) for step, blocks in made.memory.misses]


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("eviction", ["lru", "plan_aware", "min"])
def test_with_an_infinitely_fast_link_nothing_stalls(script, demand, eviction):
    loads = set()
    for policy, params in [("none", {}), *POLICIES]:
        made = run(script, policy, params, demand=demand, eviction=eviction, link_scale=math.inf)
        assert not made.stalls.any(), policy
        assert made.memory.tiers.device.now_s == pytest.approx((script.compute_s + script.idle_s).sum())
        if policy == "none":
            loads.add(made.memory.counts.demand_loads)
    assert loads.pop() > 0


@pytest.mark.parametrize("policy, params", POLICIES)
def test_with_room_for_everything_nothing_is_issued(script, policy, params):
    made = run(script, policy, params, pool=1000)
    assert (made.memory.counts.demand_loads, made.memory.issuer.counts.issued, made.memory.counts.useful) == (0, 0, 0)
    assert not made.stalls.any()


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("policy, params", POLICIES)
def test_without_a_share_of_the_link_a_policy_is_none(script, policy, params, demand):
    """Byte for byte: stalls, misses, loads, and the bytes on both links."""
    idle = IssuerSettings(link_share=0.0)
    for eviction in ("lru", "plan_aware"):
        none = run(script, demand=demand, eviction=eviction)
        made = run(script, policy, params, demand=demand, eviction=eviction, issuer=idle)
        assert made.memory.counts.decision_calls > 0
        assert made.stalls.tobytes() == none.stalls.tobytes()
        assert misses(made) == misses(none)
        for link in ("h2d", "d2h"):
            mine, other = getattr(made.memory.tiers.device, link), getattr(none.memory.tiers.device, link)
            assert (mine.bytes, mine.busy_s) == (other.bytes, other.busy_s)


@pytest.mark.parametrize("demand", DEMANDS)
def test_more_bandwidth_never_means_more_stall(script, demand):
    stalls = [run(script, demand=demand, link_scale=scale).stalls.sum() for scale in (0.25, 0.5, 1, 2, 8, 64)]
    assert stalls == sorted(stalls, reverse=True)
    assert stalls[0] > 2 * stalls[-1] > 0


@pytest.mark.parametrize("eviction", ["lru", "plan_aware", "min"])
def test_demand_modes_miss_the_same_blocks(script, eviction):
    """Without prefetching, when a block is waited for changes nothing about which blocks are missing; and loads that
    overlap compute, or that share a submission, wait no longer than those that do neither."""
    step, page, layer = (run(script, demand=demand, eviction=eviction) for demand in DEMANDS)
    assert step.memory.counts.demand_loads == page.memory.counts.demand_loads == layer.memory.counts.demand_loads > 0
    assert layer.stalls.sum() < step.stalls.sum() < page.stalls.sum()


def test_faults_cost_what_they_are_said_to_cost(script):
    """`none` under D-page: each miss adds fault_us, and nothing else changes while the stores have no effect."""
    free, dear = (run(script, demand=DPage(fault)) for fault in (0.0, 50.0))
    assert misses(free) == misses(dear)
    assert dear.stalls.sum() - free.stalls.sum() == pytest.approx(free.memory.counts.demand_loads * 50e-6, rel=0.05)


def test_d_page_without_overheads_is_d_step(script):
    """One by one or together is the same when neither faults nor submissions cost anything."""
    smooth = calibration(block_s=3e-4)
    page, step = (run(script, demand=demand, calibration=smooth) for demand in (DPage(0.0), DStep()))
    np.testing.assert_allclose(page.stalls, step.stalls, atol=1e-12)


@pytest.mark.parametrize("eviction", ["lru", "plan_aware", "min"])
def test_min_never_loads_more(script, eviction):
    assert (
        run(script, eviction="min").memory.counts.demand_loads
        <= run(script, eviction=eviction).memory.counts.demand_loads
    )


@pytest.mark.parametrize("policy, params", [("none", {}), *POLICIES])
@pytest.mark.parametrize("demand", DEMANDS)
def test_what_is_issued_is_accounted_for(script, policy, params, demand):
    """Prefetches are used, evicted unused, or still waiting; loads on the link are misses and prefetches."""
    made = run(script, policy, params, demand=demand)
    counts, issuer, tiers = made.memory.counts, made.memory.issuer.counts, made.memory.tiers
    waiting = int((tiers.states.prefetched_step[: tiers.states.count] >= 0).sum())
    assert issuer.issued == counts.useful + tiers.evicted_unused + waiting
    assert counts.useful == counts.timely + counts.late == counts.same_step + counts.cross_step
    assert counts.useful == counts.issue_to_need_steps.sum() == counts.fill_to_use_ms.sum()
    assert counts.early <= tiers.evicted_unused
    assert tiers.device.h2d.bytes == (counts.demand_loads + issuer.issued) * tiers.block_bytes
    assert counts.stall_s == pytest.approx(made.stalls.sum())


@pytest.mark.parametrize("policy, params", POLICIES)
def test_every_policy_fetches_something_useful_here(script, policy, params):
    """Guards the relations above against a workload in which nothing happens."""
    made = run(script, policy, params, demand=DPage())
    assert made.memory.counts.useful > 0
