"""Classes by name: drop a file into the package, and its class is known everywhere."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

from pagedkv.errors import PagedKVError

T = TypeVar("T", bound=type)


class Registry:
    """Classes of one kind, keyed by their `name`. The modules of `package` are imported at the first look-up."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._classes: dict[str, type] = {}
        self._loaded = False

    def register(self, cls: T) -> T:
        """Class decorator. Two classes of one name are an error of the author, reported at import."""
        known = self._classes.get(cls.name)
        if known is not None and known.__module__ != cls.__module__:
            raise PagedKVError(f"{self.kind} '{cls.name}' is defined in {known.__module__} and in {cls.__module__}")
        self._classes[cls.name] = cls
        return cls

    def get(self, name: str) -> type:
        self._load()
        if name not in self._classes:
            raise PagedKVError(f"{self.kind} '{name}' is unknown; known are {', '.join(sorted(self._classes))}")
        return self._classes[name]

    def all(self) -> dict[str, type]:
        """All classes, sorted by name."""
        self._load()
        return dict(sorted(self._classes.items()))

    def _load(self) -> None:
        if not self._loaded:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._loaded = True
