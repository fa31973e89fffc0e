"""Policies that make sense only where a step may start before all layers are there."""

import pytest

from pagedkv.engine.demand import DLayer, DStep
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.first_layer import FirstLayer
from pagedkv.prefetch.layer_wise import LayerWise
from tests.engine.build import toy_memory
from tests.prefetch.schedules import by, view


@pytest.mark.parametrize("policy", [LayerWise, FirstLayer])
def test_only_under_d_layer(policy):
    toy_memory(10, policy(), demand=DLayer())
    with pytest.raises(PagedKVError, match=f"{policy.name} runs only under D-layer, not under D-step"):
        toy_memory(10, policy(), demand=DStep())


def test_layer_wise_leaves_everything_to_the_demand_mode():
    assert LayerWise().propose(view(10, plan=[by(4, step=11, blocks=2)])) == []


def test_first_layer_asks_for_layer_0_of_what_the_horizon_holds():
    """9 is due in 7 steps: outside of a horizon of 4, and inside after 3 more."""
    policy, now = FirstLayer(k=4), view(10, plan=[by(4, step=11, blocks=2), by(9, step=17, blocks=5)], quantum_left=1)
    assert policy.propose(now) == [Fetch(4, 0, 2, 11, layers=1)]
    assert policy.wake_step(now) == 13
