"""Conformance cases as data: what a file of cases says, checked (fields: tests/conformance/README.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError

FORCED = {"host_blocks": 0, "preemption": "recompute", "quantum_steps": None}
"""What vLLM's scheduler does not have, or does in one way only."""


@dataclass(frozen=True)
class Case:
    """One scenario. `requests` is what the file says of them: `requests`, `random` or `workload`, as is."""

    name: str
    group: str
    """The file's `class`."""
    why: str
    engine: EngineSettings
    requests: Mapping[str, Any]
    async_scheduling: bool = False
    offload: Mapping[str, Any] | None = None

    @property
    def source(self) -> str | None:
        """The public trace that it takes a slice of."""
        return self.requests.get("workload", {}).get("source")

    @property
    def exact(self) -> bool:
        """Whether every step has to be vLLM's."""
        return self.offload is None

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the steps: a recorded run of another digest is of another case."""
        said = [vars(self.engine), self.requests, self.async_scheduling, self.offload]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_cases(paths: Iterable[str | Path]) -> list[Case]:
    """The cases of files and of all `*.yaml` in folders, in order. PagedKVError names file, case and what is wrong."""
    cases = [case for path in _files(paths) for case in _read(path)]
    names = [case.name for case in cases]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PagedKVError(f"case '{twice[0]}': there are two of this name")
    return cases


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.exists():
            raise PagedKVError(f"{path}: there is no such file or folder")
        yield from sorted(path.glob("*.yaml")) if path.is_dir() else [path]


def _read(path: Path) -> list[Case]:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise PagedKVError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if error := best_match(_validator().iter_errors(content)):
        raise PagedKVError(f"{path}: {_explain(error, content)}")
    return [_case(path, content, said) for said in content["cases"]]


def _case(path: Path, content: Mapping[str, Any], said: Mapping[str, Any]) -> Case:
    engine = {**content.get("engine", {}), **said.get("engine", {}), **FORCED}
    if "pool_blocks" not in engine:
        raise PagedKVError(f"{path}: case '{said['name']}': engine.pool_blocks is missing")
    return Case(
        name=said["name"],
        group=content["class"],
        why=said["why"],
        engine=EngineSettings.from_config(engine),
        requests={key: said[key] for key in ("requests", "random", "workload") if key in said},
        async_scheduling=said.get("async_scheduling", False),
        offload=said.get("offload"),
    )


@cache
def _validator() -> Draft202012Validator:
    text = resources.files("pagedkv.conformance").joinpath("cases.schema.yaml").read_text(encoding="utf-8")
    return Draft202012Validator(yaml.safe_load(text))


def _explain(error: ValidationError, content: Any) -> str:
    """Where and what, with the case's name instead of its number."""
    where = list(error.absolute_path)
    if where[:1] == ["cases"] and len(where) > 1:
        case = content["cases"][where[1]]
        named = isinstance(case, dict) and "name" in case
        where = [f"case '{case['name']}'" if named else f"case {where[1]}", *where[2:]]
    if error.validator == "oneOf" and "requests" in error.schema.get("properties", {}):
        return f"{_joined(where)}: one of requests, random and workload is needed"
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))[0]
        return f"{_joined(where)}: unknown field '{unknown}'; known are {', '.join(error.schema['properties'])}"
    return f"{_joined(where)}: {error.message}"


def _joined(where: list[Any]) -> str:
    return ".".join(str(part) for part in where) or "top level"
