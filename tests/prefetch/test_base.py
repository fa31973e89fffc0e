"""What the base class gives a prefetch policy. What every policy promises is in test_every_policy.py."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.none import NoPrefetch
from tests.prefetch.views import seen


class Toy(PrefetchPolicy):
    name = "toy"
    level = Level.I2
    parameters = {"depth": 4, "mode": "plain"}
    least = {"depth": 2}

    def propose(self, view: View) -> list[Fetch]:
        return []


def test_parameters_become_attributes():
    policy = Toy(depth=8)
    assert (policy.depth, policy.mode) == (8, "plain")


def test_a_label_tells_what_differs_from_the_defaults():
    labels = [Toy().label, Toy(depth=4).label, Toy(depth=8).label, Toy(mode="b", depth=2).label]
    assert labels == ["toy", "toy", "toy(depth=8)", "toy(depth=2, mode=b)"]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"width": 1}, "prefetch policy 'toy' has no parameter 'width'; it has: depth, mode"),
        ({"depth": 1}, "toy: depth is a whole number from 2 on, not 1"),
        ({"depth": 4.0}, "toy: depth is a whole number from 2 on, not 4.0"),
        ({"depth": True}, "toy: depth is a whole number from 2 on, not True"),
        ({"depth": None}, "toy: depth is a whole number from 2 on, not None"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Toy(**parameters)
    assert str(error.value) == message


def test_a_policy_without_parameters_says_so():
    with pytest.raises(PagedKVError, match="prefetch policy 'none' has no parameter 'n'; it has: none"):
        NoPrefetch(n=1)


def test_demand_only_proposes_nothing():
    assert NoPrefetch().propose(seen((0, 3, "fault"), (0, 4, "use"))) == []


def test_a_fetch_cannot_be_changed():
    with pytest.raises(AttributeError):
        Fetch(1, 2).count = 3
