"""Machines of the tests of bug classes: made once for all of them."""

from dataclasses import replace

import pytest

from pagedkv.device.machine import Machine
from tests.bugs.late import LateMachine
from tests.bugs.runs import SETTINGS, alone, private, sessions
from tests.device.where import WHERE
from tests.engine.build import TINY


@pytest.fixture(scope="session")
def late():
    """A machine in which everything happens as late as it may, unless its world is told otherwise."""
    with LateMachine(TINY, SETTINGS) as machine:
        yield machine


@pytest.fixture(scope="session", params=WHERE)
def anywhere(request):
    """The late machine, and a GPU where there is one."""
    if request.param == "cpu":
        yield request.getfixturevalue("late")
        return
    with Machine(TINY, replace(SETTINGS, where=request.param)) as machine:
        yield machine


@pytest.fixture(scope="session")
def rotating(late):
    """Five private requests, and what each of them gets by itself."""
    requests = private(5)
    return requests, alone(late, requests)


@pytest.fixture(scope="session")
def sharing(late):
    """Sessions of two turns that share prefixes, and what each request gets by itself."""
    requests = sessions(6)
    return requests, alone(late, requests)
