"""The configuration: how it is read and checked, and the slice of it that each stage depends on.

The rules hand a stage its slice as JSON, so that Snakemake reruns exactly what a changed setting touches; a person
names a scenario instead, and gets the same slice from here. Here, too, is decided where a scenario's trace comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from pagedkv.device.present import gpu_memory_bytes
from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry
from pagedkv.trace import shipped
from pagedkv.trace.file import read_header

SCHEMA = Path("workflow/schemas/config.schema.yaml")
Config = dict[str, Any]

GPU_RESERVE_BYTES = 4 * 2**30
"""What a recording needs beside weights and pool: activations, graphs, the CUDA context."""


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
    board = config["leaderboard"]
    named = {
        "fidelity.scenarios": config["fidelity"]["scenarios"],
        "leaderboard.scenarios": board["scenarios"],
        "leaderboard.trained": board["trained"],
        "leaderboard.seeds.scenarios": board["seeds"]["scenarios"],
    }
    for where, names in named.items():
        for name in names:
            if name not in config["scenarios"]:
                raise PagedKVError(f"config: {where}: there is no scenario '{name}'")


def _explain(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties":
        allowed = error.schema.get("properties", {})
        unknown = sorted(set(error.instance) - set(allowed))
        return f"config: {where}: unknown key '{unknown[0]}'; known are {', '.join(allowed)}"
    return f"config: {where}: {error.message}"


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


def trace_source(config: Mapping[str, Any], name: str) -> str:
    """Where the trace of a scenario comes from: 'cuda', 'recorded' (recorded/traces), 'simulated' or 'vllm'.

    `traces:` decides. `auto` takes the first of them that is possible here; `record`, `recorded` and `simulated`
    insist, and raise PagedKVError with the reason where it is not possible. A scenario with a section `vllm` is of that
    engine: it is recorded anew where `record` is asked for and vLLM is installed, and else taken from what is shipped.
    """
    traces = config["traces"]
    if "vllm" in scenario_of(config, name):
        return _vllm_source(config, name)
    if traces in ("auto", "record"):
        missing = _no_gpu(config, name)
        if not missing:
            return "cuda"
        if traces == "record":
            raise PagedKVError(f"config: traces: 'record' {missing}; 'auto' takes what is shipped, or simulates")
    if traces in ("auto", "recorded"):
        missing = _not_shipped(config, name)
        if not missing:
            return "recorded"
        if traces == "recorded":
            raise PagedKVError(f"config: traces: 'recorded', but {missing}")
    return "simulated"


def _vllm_source(config: Mapping[str, Any], name: str) -> str:
    from pagedkv.vllm.found import found

    missing = _not_shipped(config, name)
    if found() and (config["traces"] == "record" or missing):
        return "vllm"
    if missing:
        raise PagedKVError(
            f"config: scenario '{name}' is of vLLM, which is not installed here (tools/vllm_env.sh); {missing}"
        )
    return "recorded"


def _no_gpu(config: Mapping[str, Any], name: str) -> str:
    """Why the scenario cannot be recorded on a GPU here; empty if it can."""
    model, blocks = geometry(config["model"]), scenario_of(config, name)["engine"]["pool_blocks"]
    needed = model.total_weight_bytes + blocks * model.block_bytes + GPU_RESERVE_BYTES
    here = gpu_memory_bytes()
    if not here:
        return "needs a CUDA device, and there is none here"
    if here < needed:
        return f"needs {needed / 2**30:.0f} GiB of GPU memory for scenario '{name}', and here are {here / 2**30:.0f}"
    return ""


def _not_shipped(config: Mapping[str, Any], name: str) -> str:
    """Why recorded/traces does not serve the scenario; empty if it does."""
    path = shipped.path_of(name)
    if not path.exists():
        return f"there is no trace of scenario '{name}': {path}"
    scenario, workload = scenario_of(config, name), workload_settings(config, name)["workload"]
    differs = shipped.difference(read_header(path), config["model"], scenario["engine"], workload, scenario.get("vllm"))
    return f"{path} does not fit scenario '{name}': it has {differs}" if differs else ""


def fetch_settings(config: Mapping[str, Any], source: str) -> Config:
    return dict(config["sources"][source])


def workload_settings(config: Mapping[str, Any], name: str) -> Config:
    workload = scenario_of(config, name)["workload"]
    if source := workload.get("source"):
        return {"scenario": name, "workload": workload, "sources": {source: config["sources"][source]}}
    return {"scenario": name, "workload": {"seed": config["seed"], **workload}, "sources": {}}


def record_settings(config: Mapping[str, Any], name: str) -> Config:
    on_gpu = trace_source(config, name) == "cuda"
    settings = {**_engine(config, name), "device": "cuda" if on_gpu else "simulated"}
    vllm = scenario_of(config, name).get("vllm")
    return settings if vllm is None else {**settings, "vllm": vllm}


def replay_settings(config: Mapping[str, Any], name: str) -> Config:
    replay = {**config["replay"], **scenario_of(config, name).get("replay", {})}
    return {**_common(config, name), "replay": replay}


def beside_settings(config: Mapping[str, Any], name: str) -> Config:
    """Of a scenario of vLLM: what a trace of ours in its mode, and replays of that trace, depend on."""
    return {**replay_settings(config, name), **_engine(config, name)}


def leaderboard_settings(config: Mapping[str, Any], name: str) -> Config:
    """A policy of `replay.policies` that the leaderboard does not name joins it, so that one entry is enough."""
    section = {key: value for key, value in config["leaderboard"].items() if key not in ("seeds", "trained")}
    named = {entry["prefetch"] for entry in section["policies"]} | {"none"}
    joining = [entry for entry in config["replay"]["policies"] if entry["prefetch"] not in named]
    section["policies"] = [*section["policies"], *joining]
    return {**replay_settings(config, name), "leaderboard": section}


def seeds_settings(config: Mapping[str, Any], name: str) -> Config:
    seeds = config["leaderboard"]["seeds"]
    workload = {**scenario_of(config, name)["workload"], **(seeds["scenarios"].get(name) or {})}
    chosen = {key: seeds[key] for key in ("count", "policies")}
    return {**replay_settings(config, name), **_engine(config, name), "workload": workload, "seeds": chosen}


def measure_settings(config: Mapping[str, Any], name: str) -> Config:
    return {**_engine(config, name), "fidelity": config["fidelity"]}


def serve_settings(config: Mapping[str, Any], name: str) -> Config:
    return {**_engine(config, name), "serve": config["serve"]}


def _common(config: Mapping[str, Any], name: str) -> Config:
    return {"scenario": name, **{key: config[key] for key in ("model", "calibration", "seed")}}


def _engine(config: Mapping[str, Any], name: str) -> Config:
    return {**_common(config, name), "engine": scenario_of(config, name)["engine"]}
