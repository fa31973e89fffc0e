"""Fixtures of the workload tests: the public data, where it is at hand."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public traces; tests of them are skipped where there is none."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    for folder in (os.environ.get("PAGEDKV_DATA"), beside):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip(f"no public traces: set PAGEDKV_DATA, or put them into {beside}")


@pytest.fixture(scope="session")
def public(data_dir: Path):
    """Path of one public file by name; skips the test where it is not at hand."""

    def find(name: str) -> Path:
        found = [data_dir / name, *sorted(data_dir.glob(f"*/{name}"))]
        for path in found:
            if path.is_file():
                return path
        pytest.skip(f"{name} is not in {data_dir}")

    return find
