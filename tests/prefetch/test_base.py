"""What every prefetch policy promises, whatever it does."""

import dataclasses

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Accesses, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.none import NoPrefetch
from pagedkv.prefetch.registry import PREFETCHERS
from tests.prefetch.views import seen

EVERY = sorted(PREFETCHERS.all())
ON_FAULTS = ["leap_paper", "linux_vma", "next_n"]


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


@pytest.mark.parametrize("name", EVERY)
def test_every_policy_declares_what_tables_print(name):
    policy = PREFETCHERS.get(name)()
    assert policy.name == name
    assert isinstance(policy.level, Level)
    assert policy.family in {"speculative", "schedule", "oracle", "none", "control"}
    assert set(policy.least) <= set(policy.parameters)
    assert "Level:" in type(policy).__doc__ and "Cost:" in type(policy).__doc__


@pytest.mark.parametrize("name", ON_FAULTS)
def test_speculative_policies_see_only_accesses(name):
    """At I0 a view holds the accesses and the state of the link; without accesses there is nothing to follow."""
    policy = PREFETCHERS.get(name)()
    assert (policy.level, policy.family, policy.spatial) == (Level.I0, "speculative", True)
    assert policy.propose(View(Level.I0, {"accesses": Accesses.none()})) == []


@pytest.mark.parametrize("name", ON_FAULTS)
def test_one_answer_to_many_accesses_is_that_to_one_after_the_other(name):
    accesses = [(s, i, kind) for i in range(6) for s in (1, 2) for kind in (["fault", "use"][i % 2],)]
    together = PREFETCHERS.get(name)().propose(seen(*accesses))
    policy = PREFETCHERS.get(name)()
    assert together == [fetch for access in accesses for fetch in policy.propose(seen(access))]
    assert together


def test_a_fetch_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fetch(1, 2).count = 3
