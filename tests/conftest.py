"""What all tests share."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"

# The default finds the same examples in every run; `HYPOTHESIS_PROFILE=explore` looks for new ones, longer.
settings.register_profile(
    "default", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` are skipped, and say so, where no CUDA device can be seen."""
    if shutil.which("nvidia-smi") is None:
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture
def at_root(repository, monkeypatch):
    """The current folder is the root of the checkout, as for a rule."""
    monkeypatch.chdir(repository)


@pytest.fixture(scope="session")
def tiny_results(tmp_path_factory) -> Path:
    """A folder in which every stage from the workload to the metrics has run on a tiny input."""
    from pagedkv.cli import main
    from tests import pipeline

    folder = tmp_path_factory.mktemp("tiny")
    for arguments in pipeline.stages(folder):
        assert main(arguments) == 0, arguments[0]
    return folder
