"""The configuration: how it is read and checked, and the slice of it that each stage depends on.

The rules hand a stage its slice as JSON, so that Snakemake reruns exactly what a changed setting touches; a person
names a scenario instead, and gets the same slice from here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from pagedkv.errors import PagedKVError

SCHEMA = Path("workflow/schemas/config.schema.yaml")
Config = dict[str, Any]


def load(paths: Iterable[str | Path] = ("config.yaml",)) -> Config:
    """Read configuration files, later ones over earlier ones as Snakemake does, and check the result."""
    merged: Config = {}
    for path in paths:
        try:
            content = yaml.safe_load(Path(path).read_text())
        except OSError as error:
            raise PagedKVError(f"{path}: cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise PagedKVError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict):
            raise PagedKVError(f"{path}: not a table of settings")
        _merge(merged, content)
    check(merged)
    return merged


def _merge(into: Config, content: Mapping[str, Any]) -> None:
    for key, value in content.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def check(config: Mapping[str, Any], schema: Path = SCHEMA) -> None:
    """Raise PagedKVError that names the first setting that is wrong, and why."""
    validator = Draft202012Validator(yaml.safe_load(schema.read_text()))
    if error := best_match(validator.iter_errors(config)):
        raise PagedKVError(_explain(error))
    for name, scenario in scenarios(config).items():
        workload = scenario["workload"]
        if ("generator" in workload) == ("source" in workload):
            raise PagedKVError(f"config: scenarios.{name}.workload: one of 'generator' and 'source' is needed")
        if "source" in workload and workload["source"] not in config["sources"]:
            raise PagedKVError(
                f"config: scenarios.{name}.workload.source: '{workload['source']}' is none of the sources; "
                f"known are {', '.join(config['sources'])}"
            )
    for figure, name in config["report"]["trace_of"].items():
        if name not in scenarios(config):
            raise PagedKVError(f"config: report.trace_of.{figure}: there is no scenario '{name}'")
    trace_device(config)


def _explain(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties":
        allowed = error.schema.get("properties", {})
        unknown = sorted(set(error.instance) - set(allowed))
        return f"config: {where}: unknown key '{unknown[0]}'; known are {', '.join(allowed)}"
    return f"config: {where}: {error.message}"


def trace_device(config: Mapping[str, Any]) -> str:
    """What makes the traces under `traces: auto | record | recorded`: 'simulated', 'gpu' or 'recorded'."""
    if config["traces"] == "record":
        if shutil.which("nvidia-smi") is None:
            raise PagedKVError(
                "config: traces: 'record' needs a CUDA device, and there is none here; 'auto' simulates one"
            )
        raise PagedKVError(
            "config: traces: 'record' is not possible yet: this version drives only the simulated device"
        )
    return "recorded" if config["traces"] == "recorded" else "simulated"


def scenarios(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The scenarios to run; one that a later file sets to null is left out."""
    return {name: scenario for name, scenario in config["scenarios"].items() if scenario is not None}


def scenario_of(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in scenarios(config):
        raise PagedKVError(f"config: there is no scenario '{name}'; known are {', '.join(scenarios(config))}")
    return scenarios(config)[name]


def source_of(config: Mapping[str, Any], name: str) -> str | None:
    """The public source that a scenario reads, if it reads one."""
    return scenario_of(config, name)["workload"].get("source")


def fetch_settings(config: Mapping[str, Any], source: str) -> Config:
    return dict(config["sources"][source])


def workload_settings(config: Mapping[str, Any], name: str) -> Config:
    workload = scenario_of(config, name)["workload"]
    if source := workload.get("source"):
        return {"scenario": name, "workload": workload, "sources": {source: config["sources"][source]}}
    return {"scenario": name, "workload": {"seed": config["seed"], **workload}, "sources": {}}


def record_settings(config: Mapping[str, Any], name: str) -> Config:
    return {**_engine(config, name), "device": trace_device(config)}


def replay_settings(config: Mapping[str, Any], name: str) -> Config:
    replay = {**config["replay"], **scenario_of(config, name).get("replay", {})}
    return {**_common(config, name), "replay": replay}


def serve_settings(config: Mapping[str, Any], name: str) -> Config:
    return {**_engine(config, name), "serve": config["serve"]}


def _common(config: Mapping[str, Any], name: str) -> Config:
    return {"scenario": name, **{key: config[key] for key in ("model", "calibration", "seed")}}


def _engine(config: Mapping[str, Any], name: str) -> Config:
    return {**_common(config, name), "engine": scenario_of(config, name)["engine"]}
