"""Which source files a module depends on, so that a rule can declare them and rerun when one of them changes."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
NAME = PACKAGE.name


@cache
def _files() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = (NAME, *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _mentioned(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in _files() else node.module for name in names)


def _inside(name: str) -> list[str]:
    return [module for module in _files() if module == name or module.startswith(f"{name}.")]


@cache
def _needs(name: str) -> frozenset[str]:
    return frozenset(module for module in _mentioned(_files()[name]) if module in _files())


def modules(*roots: str) -> list[str]:
    """The files of `pagedkv.ROOT` for each root (all of it where it is a package) and of all that they import.

    Data files beside a module count with it. Of the packages around a module only `__init__.py` itself counts: what
    that imports in turn, for others to use, is nothing to the module. What a registry imports by name cannot be seen
    here: it has to be among the roots. Paths are relative to the current folder.
    """
    waiting = [module for root in roots for module in _inside(f"{NAME}.{root}")]
    if missing := [root for root in roots if not _inside(f"{NAME}.{root}")]:
        raise ValueError(f"no module {NAME}.{missing[0]} in {PACKAGE}")
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _needs(name)
    files = {_files()[name] for name in reached}
    for folder in {path.parent for path in files}:
        files |= {path for path in folder.iterdir() if path.suffix in (".csv", ".json", ".yaml")}
    files |= {_files()[package] for name in reached for package in _around(name)}
    return sorted(os.path.relpath(path) for path in files)


def _around(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        if name in _files():
            yield name
