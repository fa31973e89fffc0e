"""`pagedkv VERB`: each verb is a stage that a rule calls and a person can call.

Only arguments are handled here; what a verb does lives in the package, and heavy modules are imported by the verb that
needs them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError

Arguments = argparse.Namespace


NEEDS = {
    "workload": ("workload", "sources"),
    "record": ("scenario", "model", "calibration", "seed", "engine"),
    "replay": ("scenario", "model", "calibration", "seed", "replay"),
    "serve": ("scenario", "model", "calibration", "seed", "engine", "serve"),
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


def _settings(arguments: Arguments, stage: str) -> dict[str, Any]:
    """The slice given as JSON by a rule, or the one of a scenario, read from the configuration."""
    if arguments.settings is not None:
        return _from_json(arguments.settings, stage)
    from pagedkv import config

    if arguments.scenario is None:
        raise PagedKVError(f"{stage}: give --scenario NAME (or --settings JSON)")
    return getattr(config, f"{stage}_settings")(config.load(arguments.config), arguments.scenario)


def _workload(arguments: Arguments) -> None:
    from pagedkv.workload.registry import build, read_source

    settings = _settings(arguments, "workload")
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


def _fetch(arguments: Arguments) -> None:
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


def _record(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.engine.record import record
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.progress import requests_bar

    settings = _settings(arguments, "record")
    table, geometry, calibration = _engine_inputs(arguments, settings)
    engine = EngineSettings.from_config(settings["engine"])
    with requests_bar(f"record {settings['scenario']}", len(table)) as advance:
        recorded = record(table, settings["scenario"], engine, geometry, calibration, settings["seed"], advance)
    digest = trace.write(recorded, arguments.out)
    header = recorded.header
    print(f"{arguments.out}: {len(recorded.steps['step'])} steps, {header['requests']} requests finished,")
    print(f"  {header['dropped_requests']} dropped because they exceed max_model_len or the pool,")
    print(f"  peak live KV {header['peak_live_blocks']} blocks in a pool of {header['pool_blocks']}; sha256 {digest}")


def _replay(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.device.calibration import read_calibration
    from pagedkv.files import sha256_of
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.cases import cases
    from pagedkv.metric.replay import TraceRuns
    from pagedkv.progress import cases_bar

    settings = _settings(arguments, "replay")
    recorded = trace.read(arguments.trace)
    runs = TraceRuns(recorded, sha256_of(arguments.trace), read_calibration(settings["calibration"]), settings)
    total = sum(1 for _ in cases(settings["replay"]))
    with cases_bar(f"replay {settings['scenario']}", total) as advance:
        write_rows(runs.rows(advance), arguments.out)


def _serve(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.serve import serve_rows
    from pagedkv.progress import cases_bar

    settings = _settings(arguments, "serve")
    table, geometry, calibration = _engine_inputs(arguments, settings)
    with cases_bar(f"serve {settings['scenario']}", len(settings["serve"])) as advance:
        write_rows(serve_rows(table, settings, geometry, calibration, advance), arguments.out)


def _metrics(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import aggregate, write_rows

    runs = aggregate(arguments.runs, arguments.recorded, "runs")
    serve = aggregate(arguments.serve, arguments.recorded, "serve")
    write_rows(runs, arguments.out_runs)
    write_rows(serve, arguments.out_serve)


def _ship(arguments: Arguments) -> None:
    from pagedkv.metric.ship import ship

    ship(arguments.metrics, arguments.serve, arguments.scenarios, arguments.out, arguments.command)


def _figure(arguments: Arguments) -> None:
    from pagedkv.paper.figures import render

    render(arguments.name, arguments.metrics, arguments.serve, arguments.trace, arguments.out, arguments.png)


def _tables(arguments: Arguments) -> None:
    from pagedkv.paper import tables

    tables.write(arguments.metrics, arguments.serve, arguments.out)


def _numbers(arguments: Arguments) -> None:
    from pagedkv.paper import numbers

    numbers.write(arguments.metrics, arguments.serve, arguments.claims, arguments.out_tex, arguments.out_json)


def _claims(arguments: Arguments) -> None:
    from pagedkv.paper import claims

    if arguments.print is not None:
        claims.print_claims(arguments.print)
        return
    for name in ("metrics", "serve", "out_json", "out_tex"):
        if getattr(arguments, name) is None:
            raise PagedKVError(f"claims: --{name.replace('_', '-')} is needed (or --print CLAIMS.json)")
    claims.evaluate(arguments.spec, arguments.metrics, arguments.serve, arguments.out_json, arguments.out_tex)


def _provenance(arguments: Arguments) -> None:
    from pagedkv.paper import provenance

    provenance.write(arguments.out)


def _verify(arguments: Arguments) -> None:
    from pagedkv import trace

    checked = trace.read(arguments.file)
    print(f"{arguments.file}: {checked.header['origin']} trace of {checked.header['scenario']}, complete and unchanged")


def _list(arguments: Arguments) -> None:
    if arguments.metrics:
        from pagedkv.metric.glossary import markdown

        print(markdown(), end="")
        return
    from pagedkv.catalogue import print_catalogue

    print_catalogue()


Path_ = {"type": Path, "required": True}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pagedkv", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, call: Callable[[Arguments], None], text: str, staged: bool = False) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        if staged:
            added.add_argument("--settings", help="slice of the configuration, as JSON (given by the rules)")
            added.add_argument("--scenario", help="scenario of the configuration, instead of --settings")
            added.add_argument(
                "--config", nargs="+", default=["config.yaml"], help="configuration files, later over earlier"
            )
        return added

    v = verb("fetch", _fetch, "bring a public trace from PAGEDKV_DATA or the network, and verify it")
    v.add_argument("name")
    v.add_argument("--settings")
    v.add_argument("--config", nargs="+", default=["config.yaml"])
    v.add_argument("--out", **Path_)
    v = verb("workload", _workload, "make a scenario's request table", staged=True)
    v.add_argument("--data", type=Path, help="fetched file of the scenario's source")
    v.add_argument("--out", **Path_)
    v = verb("record", _record, "serve a request table and record its block accesses", staged=True)
    v.add_argument("--requests", **Path_)
    v.add_argument("--out", **Path_)
    v = verb("replay", _replay, "run every prefetch policy on a trace (open loop)", staged=True)
    v.add_argument("--trace", **Path_)
    v.add_argument("--out", **Path_)
    v = verb("serve", _serve, "serve a request table under each policy (closed loop)", staged=True)
    v.add_argument("--requests", **Path_)
    v.add_argument("--out", **Path_)
    v = verb("metrics", _metrics, "bring all runs together, with the recorded ones")
    v.add_argument("--runs", nargs="+", type=Path, required=True)
    v.add_argument("--serve", nargs="+", type=Path, required=True)
    v.add_argument("--recorded", type=Path)
    v.add_argument("--out-runs", **Path_)
    v.add_argument("--out-serve", **Path_)
    v = verb("ship", _ship, "put aggregated results of scenarios under recorded/, with provenance")
    v.add_argument("--metrics", **Path_)
    v.add_argument("--serve", **Path_)
    v.add_argument("--scenarios", nargs="+", required=True)
    v.add_argument("--out", **Path_)
    v.add_argument("--command", required=True, help="command that made the results")
    v = verb("figure", _figure, "draw a figure")
    v.add_argument("name")
    v.add_argument("--metrics", **Path_)
    v.add_argument("--serve", **Path_)
    v.add_argument("--trace", type=Path)
    v.add_argument("--out", **Path_)
    v.add_argument("--png", **Path_)
    v = verb("tables", _tables, "write the report's tables")
    v.add_argument("--metrics", **Path_)
    v.add_argument("--serve", **Path_)
    v.add_argument("--out", **Path_)
    v = verb("numbers", _numbers, "write the numbers that the text quotes")
    v.add_argument("--metrics", **Path_)
    v.add_argument("--serve", **Path_)
    v.add_argument("--claims", type=Path)
    v.add_argument("--out-tex", **Path_)
    v.add_argument("--out-json", **Path_)
    v = verb("claims", _claims, "check every claim of the report")
    v.add_argument("--spec", type=Path, default=Path("report/claims.yaml"))
    v.add_argument("--metrics", type=Path)
    v.add_argument("--serve", type=Path)
    v.add_argument("--out-json", type=Path)
    v.add_argument("--out-tex", type=Path)
    v.add_argument("--print", type=Path, metavar="CLAIMS.json", help="print checked claims instead")
    v = verb("provenance", _provenance, "write commit, machine and versions for the report")
    v.add_argument("--out", **Path_)
    v = verb("verify", _verify, "check that a trace file is complete and unchanged")
    v.add_argument("file", type=Path)
    v = verb("list", _list, "print every policy, eviction and bound")
    v.add_argument("--metrics", action="store_true", help="print the meaning of every metric instead (docs/metrics.md)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 with one line on stderr on an error that the user can act on."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.call(arguments)
    except PagedKVError as error:
        print(f"pagedkv: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"pagedkv: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0
