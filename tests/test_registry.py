"""Classes by name, found because their file lies in the package."""

import sys
import types

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.registry import Registry


def test_every_file_of_the_packages_is_known():
    assert {"none", "next_n", "linux_vma", "leap_paper", "la_k", "clairvoyant"} <= set(PREFETCHERS.all())
    assert {"lru", "plan_aware", "min"} <= set(EVICTIONS.all())
    assert list(PREFETCHERS.all()) == sorted(PREFETCHERS.all())
    assert all(cls.name == name for name, cls in PREFETCHERS.all().items())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(PagedKVError, match="prefetch policy 'next' is unknown; known are .*la_k.*next_n"):
        PREFETCHERS.get("next")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the name `flowers`, and a function that drops a file into it."""
    folder = tmp_path / "flowers"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("flower", "flowers")
    monkeypatch.setitem(sys.modules, "flower_shop", types.SimpleNamespace(register=registry.register))

    def drop(file, name):
        lines = ("from flower_shop import register", "@register", "class Flower:", f"    name = {name!r}")
        (folder / f"{file}.py").write_text("\n".join(lines))

    yield registry, drop
    for module in [m for m in sys.modules if m.split(".")[0] == "flowers"]:
        del sys.modules[module]


def test_a_dropped_file_is_found(package):
    registry, drop = package
    drop("a", "rose")
    drop("b", "aster")
    assert list(registry.all()) == ["aster", "rose"]
    assert registry.get("rose").__module__ == "flowers.a"


def test_two_classes_of_one_name_are_an_error(package):
    registry, drop = package
    drop("a", "rose")
    drop("b", "rose")
    with pytest.raises(PagedKVError, match="flower 'rose' is defined in flowers.a and in flowers.b"):
        registry.all()


def test_importing_a_file_again_is_none(package):
    registry, drop = package
    drop("a", "rose")
    first = registry.get("rose")
    again = type("Rose", (), {"name": "rose", "__module__": first.__module__})
    assert registry.register(again) is again
    assert registry.get("rose") is again
