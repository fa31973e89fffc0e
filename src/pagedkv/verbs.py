"""What each verb of `pagedkv` does: reads files and settings, calls the stage, writes files.

Heavy modules are imported by the verb that needs them, so that the others start at once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError

Arguments = argparse.Namespace

NEEDS = {
    "workload": ("workload", "sources"),
    "record": ("scenario", "model", "calibration", "seed", "engine"),
    "replay": ("scenario", "model", "calibration", "seed", "replay"),
    "beside": ("scenario", "model", "calibration", "seed", "engine", "replay"),
    "serve": ("scenario", "model", "calibration", "seed", "engine", "serve"),
    "measure": ("scenario", "model", "calibration", "seed", "engine", "fidelity"),
    "leaderboard": ("scenario", "model", "calibration", "seed", "replay", "leaderboard"),
    "seeds": ("scenario", "model", "calibration", "workload", "engine", "replay", "seeds"),
    "fetch": ("file", "url", "sha256"),
}
"""What a stage's `--settings` must hold; the configuration's own slices always do."""


def _from_json(text: str, stage: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise PagedKVError(f"--settings: not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise PagedKVError("--settings: not a table of settings")
    for key in NEEDS[stage]:
        if key not in settings:
            raise PagedKVError(f"--settings: '{key}' is missing, which {stage} needs")
    return settings


def stage_settings(arguments: Arguments, stage: str) -> dict[str, Any]:
    """The slice given as JSON by a rule, or the one of a scenario, read from the configuration."""
    if arguments.settings is not None:
        return _from_json(arguments.settings, stage)
    from pagedkv import config

    if arguments.scenario is None:
        raise PagedKVError(f"{stage}: give --scenario NAME (or --settings JSON)")
    return getattr(config, f"{stage}_settings")(config.load(arguments.config), arguments.scenario)


def workload(arguments: Arguments) -> None:
    from pagedkv.workload.registry import build, read_source

    settings = stage_settings(arguments, "workload")
    workload = settings["workload"]
    if "source" in workload and arguments.data is not None:
        parameters = {key: value for key, value in workload.items() if key != "source"}
        name = workload["source"]
        table = read_source(name, settings["sources"][name], arguments.data, parameters)
    else:
        table = build(workload, _data_dir(), settings["sources"])
    table.write(arguments.out)
    print(f"{arguments.out}: {len(table)} requests")


def _data_dir() -> Path:
    import os

    return Path(os.environ.get("PAGEDKV_DATA", "data"))


def fetch(arguments: Arguments) -> None:
    import shutil

    from pagedkv.files import whole_file
    from pagedkv.workload.sources import fetch

    spec = _from_json(arguments.settings, "fetch") if arguments.settings else _source_entry(arguments)
    found = fetch(arguments.name, spec, _data_dir())
    with whole_file(arguments.out) as temporary:
        shutil.copyfile(found, temporary)
    print(f"{arguments.out}: {found}, verified")


def _source_entry(arguments: Arguments) -> dict[str, Any]:
    from pagedkv import config

    loaded = config.load(arguments.config)
    if arguments.name not in loaded["sources"]:
        raise PagedKVError(f"fetch: there is no source '{arguments.name}'; known are {', '.join(loaded['sources'])}")
    return config.fetch_settings(loaded, arguments.name)


def _engine_inputs(arguments: Arguments, settings: dict[str, Any]) -> tuple:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.geometry import geometry
    from pagedkv.workload.table import read

    return read(arguments.requests), geometry(settings["model"]), read_calibration(settings["calibration"])


def record(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.engine.record import record
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.progress import requests_bar

    settings = stage_settings(arguments, "record")
    table, geometry, calibration = _engine_inputs(arguments, settings)
    engine = EngineSettings.from_config(settings["engine"])
    where = arguments.device or settings.get("device", "simulated")
    vllm = None if arguments.engine == "ours" else settings.get("vllm", {} if arguments.engine == "vllm" else None)
    if vllm is not None:
        from pagedkv.vllm.process import hash_seed_fixed

        hash_seed_fixed()
    with requests_bar(f"record {settings['scenario']}", len(table)) as advance:
        if vllm is not None and where == "cuda":
            recorded = _record_live(settings, table, engine, geometry, vllm)
        elif vllm is not None:
            from pagedkv.vllm.record import record_vllm
            from pagedkv.vllm.settings import VllmSettings

            about = (table, settings["scenario"], engine, geometry, calibration, settings["seed"])
            recorded = record_vllm(*about, VllmSettings.from_config(vllm), advance, check=arguments.check)
        elif where == "simulated":
            recorded = record(table, settings["scenario"], engine, geometry, calibration, settings["seed"], advance)
        else:
            from pagedkv.device.machine import Machine
            from pagedkv.metric.cases import Case
            from pagedkv.metric.machine_runs import machine_settings, record_on

            with Machine(geometry, machine_settings(where, table, engine, settings["seed"])) as machine:
                recorded = record_on(machine, table, settings["scenario"], engine, calibration, Case("none"), advance)
    digest = trace.write(recorded, arguments.out)
    header = recorded.header
    print(f"{arguments.out}: {len(recorded.steps['step'])} steps, {header['requests']} requests finished,")
    print(f"  {header['dropped_requests']} dropped because they exceed max_model_len or the pool,")
    print(f"  peak live KV {header['peak_live_blocks']} blocks in a pool of {header['pool_blocks']}; sha256 {digest}")
    if vllm is not None:
        verified = header.get("verified_reads_blocks")
        print("  reads were not verified" if verified is None else f"  {verified} block reads verified by the shadow")


def _record_live(settings: dict[str, Any], table: Any, engine: Any, geometry: Any, vllm: dict[str, Any]) -> Any:
    """The trace of vLLM whole, on this machine's GPU."""
    import tempfile

    from pagedkv.device.facts import facts
    from pagedkv.vllm.attach import record_llm
    from pagedkv.vllm.live import SkippingClock, open_llm
    from pagedkv.vllm.settings import VllmSettings

    clock = SkippingClock()
    with tempfile.TemporaryDirectory() as folder:
        llm = open_llm(geometry, engine, VllmSettings.from_config(vllm), Path(folder))
        about = (table, settings["scenario"], geometry, settings["seed"], facts("cuda"))
        return record_llm(llm, *about, clock=clock.now_s, wait=clock.skip)


def replay(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.device.calibration import read_calibration
    from pagedkv.files import sha256_of
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.cases import cases
    from pagedkv.metric.replay import TraceRuns
    from pagedkv.progress import cases_bar

    settings = stage_settings(arguments, "replay")
    recorded = trace.read(arguments.trace)
    runs = TraceRuns(recorded, sha256_of(arguments.trace), read_calibration(settings["calibration"]), settings)
    total = sum(1 for _ in cases(settings["replay"]))
    with cases_bar(f"replay {settings['scenario']}", total) as advance:
        write_rows(runs.rows(advance), arguments.out)


def serve(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.serve import serve_rows
    from pagedkv.progress import cases_bar

    settings = stage_settings(arguments, "serve")
    table, geometry, calibration = _engine_inputs(arguments, settings)
    with cases_bar(f"serve {settings['scenario']}", len(settings["serve"])) as advance:
        write_rows(serve_rows(table, settings, geometry, calibration, advance), arguments.out)


def metrics(arguments: Arguments) -> None:
    import pandas as pd

    from pagedkv.metric.aggregate import aggregate, read_rows, write_rows
    from pagedkv.metric.decision_cost import charged, read_costs

    runs = aggregate(arguments.runs, arguments.recorded, "runs")
    runs = charged(runs, read_costs(arguments.decisions))
    serve = aggregate(arguments.serve, arguments.recorded, "serve")
    write_rows(runs, arguments.out_runs)
    write_rows(serve, arguments.out_serve)
    if arguments.out_predict is not None:
        write_rows(pd.concat([read_rows(path) for path in arguments.predict], ignore_index=True), arguments.out_predict)


def ship(arguments: Arguments) -> None:
    from pagedkv.metric.ship import ship

    ship(arguments.metrics, arguments.serve, arguments.scenarios, arguments.out, arguments.command)


def figure(arguments: Arguments) -> None:
    from pagedkv.paper.figures import render

    inputs = (arguments.metrics, arguments.serve, arguments.trace)
    more = (arguments.measured, arguments.fidelity, arguments.predict)
    render(arguments.name, *inputs, arguments.out, arguments.png, *more)


def tables(arguments: Arguments) -> None:
    from pagedkv.paper import tables

    names = ("fidelity", "speed", "predict", "tuned", "decisions", "vllm", "beside")
    more = tables.More(*(getattr(arguments, name) for name in names))
    tables.write(arguments.metrics, arguments.serve, arguments.out, more)


def numbers(arguments: Arguments) -> None:
    from pagedkv.paper import numbers

    names = ("metrics", "serve", "claims", "calibration", "fidelity", "speed", "predict", "decisions", "vllm", "beside")
    inputs = numbers.Inputs(*(getattr(arguments, name) for name in names))
    numbers.write(inputs, arguments.out_tex, arguments.out_json)


def claims(arguments: Arguments) -> None:
    from pagedkv.paper import claims

    if arguments.print is not None:
        claims.print_claims(arguments.print)
        return
    for name in ("metrics", "serve", "out_json", "out_tex"):
        if getattr(arguments, name) is None:
            raise PagedKVError(f"claims: --{name.replace('_', '-')} is needed (or --print CLAIMS.json)")
    inputs = (arguments.spec, arguments.metrics, arguments.serve)
    claims.evaluate(*inputs, arguments.out_json, arguments.out_tex, arguments.fidelity)


def provenance(arguments: Arguments) -> None:
    from pagedkv.paper import provenance

    provenance.write(arguments.out)


def verify(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.recorded import vouched

    checked = trace.read(vouched(arguments.file) if arguments.shipped else arguments.file)
    print(f"{arguments.file}: {checked.header['origin']} trace of {checked.header['scenario']}, complete and unchanged")


def list_(arguments: Arguments) -> None:
    if arguments.metrics:
        from pagedkv.metric.glossary import markdown

        print(markdown(), end="")
        return
    from pagedkv.catalogue import print_catalogue

    print_catalogue()
