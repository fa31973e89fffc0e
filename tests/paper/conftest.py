"""Made-up frames, shared by the tests of this folder."""

import runpy
from pathlib import Path

import pytest

MADE = runpy.run_path(str(Path(__file__).with_name("fixture.py")))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def made():
    """The functions of fixture.py by name."""
    return MADE


@pytest.fixture(scope="session")
def metrics():
    return MADE["metrics"]()


@pytest.fixture(scope="session")
def serve():
    return MADE["serve"]()


@pytest.fixture(scope="session")
def fidelity():
    return MADE["fidelity"]()


@pytest.fixture(scope="session")
def small():
    """One scenario, nothing recorded."""
    return MADE["metrics"]({"rotation": 0.6}, recorded=())


@pytest.fixture(scope="session")
def report():
    """The folder of LaTeX sources."""
    return ROOT / "report"
