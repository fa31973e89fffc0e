"""Parameters of a policy that may be None, are numbers, or shares."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.parameters import Parametrised


class Toy(Parametrised):
    name = "toy"
    noun = "toy policy"
    parameters = {"window": None, "lead_s": 0.5, "share": 0.25}
    least = {"window": 1}
    at_least = {"lead_s": 0.0}
    shares = ("share",)
    optional = ("window", "lead_s")


@pytest.mark.parametrize("given", [{"window": None}, {"window": 1}, {"lead_s": 0}, {"lead_s": None}, {"share": 1}])
def test_admitted(given):
    assert vars(Toy(**given)) == {**Toy.parameters, **given}


@pytest.mark.parametrize(
    "given, message",
    [
        ({"window": 0}, "toy: window is a whole number from 1 on, not 0"),
        ({"window": 1.5}, "toy: window is a whole number from 1 on, not 1.5"),
        ({"lead_s": -0.1}, "toy: lead_s is a number from 0 on, not -0.1"),
        ({"lead_s": True}, "toy: lead_s is a number from 0 on, not True"),
        ({"lead_s": float("nan")}, "toy: lead_s is a number from 0 on, not nan"),
        ({"share": 1.01}, "toy: share is a number from 0 to 1, not 1.01"),
        ({"share": None}, "toy: share is a number from 0 to 1, not None"),
        ({"depth": 1}, "toy policy 'toy' has no parameter 'depth'; it has: window, lead_s, share"),
    ],
)
def test_refused(given, message):
    with pytest.raises(PagedKVError) as error:
        Toy(**given)
    assert str(error.value) == message
