"""The catalogue of public sources: every entry can be used, and its hashes are those of the files at hand."""

from pathlib import Path

import pytest
import yaml

from pagedkv.workload import READERS, fetch

ROOT = Path(__file__).parents[2]


def catalogue() -> dict:
    path = ROOT / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["sources"] if path.is_file() else {}


@pytest.mark.parametrize("name", catalogue())
def test_an_entry_is_complete_and_its_file_is_the_one_meant(name, public):
    spec = catalogue()[name]
    assert spec["reader"] in READERS
    assert spec["licence"]
    path = public(spec["file"])
    assert fetch(name, spec, path.parent, download=False) == path
