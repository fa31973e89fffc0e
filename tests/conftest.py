"""What all tests share."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"
# Threads of torch that wait for each other take most of the time of tiny models, beside other tests all the more. Read
# when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    # Read when a kernel is defined, so before any module that has one is imported.
    os.environ["TRITON_INTERPRET"] = "1"

# The default finds the same examples in every run; `HYPOTHESIS_PROFILE=explore` looks for new ones, longer.
settings.register_profile(
    "default", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_ignore_collect(collection_path):
    """A machine that only records has no pandas, which most test files import: there, files and folders without a GPU
    test are left out."""
    if find_spec("pandas") is not None:
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return not any(sign in path.read_text() for path in files for sign in ("mark.gpu", "WHERE")) or None


def pytest_collection_modifyitems(config, items):
    """Tests marked `gpu` are skipped, and say so, where no CUDA device can be seen. A fixture that offers them a CPU as
    well is for others."""
    elsewhere = [item for item in items if item.get_closest_marker("gpu") and "cpu" in _parameters(item)]
    items[:] = [item for item in items if item not in elsewhere]
    config.hook.pytest_deselected(items=elsewhere)
    if find_spec("vllm") is None:
        for item in items:
            if item.get_closest_marker("vllm"):
                item.add_marker(pytest.mark.skip(reason="vLLM is not installed here"))
    if shutil.which("nvidia-smi") is None:
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def _parameters(item):
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return [value for value in parameters if isinstance(value, str)]


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
