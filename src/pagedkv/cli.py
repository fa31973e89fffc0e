"""`pagedkv VERB`: each verb is a stage that a rule calls and a person can call.

Only arguments are handled here; `verbs*.py` say what a verb does.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from pagedkv import verbs
from pagedkv import verbs_conformance as conformance
from pagedkv import verbs_kv_events as kv_events
from pagedkv import verbs_leaderboard as board
from pagedkv import verbs_machine as machine
from pagedkv import verbs_vllm as vllm
from pagedkv.errors import PagedKVError

PATH = {"type": Path, "required": True}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pagedkv", description=__doc__.splitlines()[0])
    stages = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(
        name: str, call: Callable[[verbs.Arguments], None], text: str, staged: bool = False
    ) -> argparse.ArgumentParser:
        added = stages.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        if staged:
            added.add_argument("--settings", help="slice of the configuration, as JSON (given by the rules)")
            added.add_argument("--scenario", help="scenario of the configuration, instead of --settings")
            added.add_argument(
                "--config", nargs="+", default=["config.yaml"], help="configuration files, later over earlier"
            )
        return added

    v = verb("fetch", verbs.fetch, "bring a public trace from PAGEDKV_DATA or the network, and verify it")
    v.add_argument("name")
    v.add_argument("--settings")
    v.add_argument("--config", nargs="+", default=["config.yaml"])
    v.add_argument("--out", **PATH)
    v = verb("workload", verbs.workload, "make a scenario's request table", staged=True)
    v.add_argument("--data", type=Path, help="fetched file of the scenario's source")
    v.add_argument("--out", **PATH)
    v = verb("record", verbs.record, "serve a request table and record its block accesses", staged=True)
    v.add_argument("--requests", **PATH)
    v.add_argument("--out", **PATH)
    v.add_argument("--device", choices=["simulated", "cuda", "cpu"], help="instead of the configuration's choice")
    v.add_argument("--engine", choices=["ours", "vllm"], help="vllm: also where the scenario has no section `vllm`")
    v.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="vllm on a CPU: verify each read against a shadow of the slots; on a GPU none is verified",
    )
    v = verb("calibrate", machine.calibrate, "measure what copies and steps cost on this machine")
    v.add_argument("--model", default="llama-3-8b")
    v.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    v.add_argument("--out", **PATH)
    v = verb("fit", machine.fit, "fit a calibration to measurements")
    v.add_argument("--raw", **PATH)
    v.add_argument("--runs", nargs="*", type=Path, help="traces of the whole engine, for what it adds to a step")
    v.add_argument("--out", **PATH)
    v = verb("measure", machine.measure, "run what the simulator is held against, on a real device", staged=True)
    v.add_argument("--requests", **PATH)
    v.add_argument("--trace", type=Path, help="trace whose schedule is pinned (default: one made here)")
    v.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    v.add_argument("--out", **PATH)
    v = verb(
        "identity", machine.identity, "compare what requests get under every policy, on a real device in test mode"
    )
    v.add_argument("--model", default="llama-3-8b")
    v.add_argument("--calibration", default="recorded/calibration/calibration.json")
    v.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    v.add_argument("--out", **PATH)
    v = verb("fidelity", machine.fidelity, "hold the simulator against what was measured on a GPU")
    v.add_argument("measured", nargs="*", type=Path, help="folders that `measure` made, one a scenario")
    v.add_argument("--identity", type=Path, help="file that `identity` made")
    v.add_argument("--traces", type=Path, default=Path("recorded/traces"), help="traces whose schedules were pinned")
    v.add_argument("--calibration", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("replay", verbs.replay, "run every prefetch policy on a trace (open loop)", staged=True)
    v.add_argument("--trace", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("grid", board.grid, "try the points of every grid of the leaderboard on a trace", staged=True)
    v.add_argument("--trace", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("tune", board.tune, "choose each scenario's parameters by what the other scenarios say")
    v.add_argument("grids", nargs="+", type=Path, help="what `grid` wrote, SCENARIO.parquet each")
    v.add_argument("--out", **PATH)
    v = verb("train-lstm", board.train_lstm, "train the learned policy on the beginning of a trace")
    v.add_argument("--trace", **PATH)
    v.add_argument("--calibration", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("compare", board.compare, "run every policy of the leaderboard on a trace", staged=True)
    v.add_argument("--trace", **PATH)
    v.add_argument("--part", required=True, help="a crossed eviction, or `others`")
    v.add_argument("--tuned", **PATH)
    v.add_argument("--grid", type=Path, help="what `grid` made of this trace: runs in it are not played again")
    v.add_argument("--weights", type=Path, help="what `train-lstm` made of another trace; without it lstm is left out")
    v.add_argument("--out", **PATH)
    v = verb("seeds", board.seeds, "repeat a comparison on simulated traces of other seeds", staged=True)
    v.add_argument("--out", **PATH)
    v = verb("predict", board.predict, "measure how predictable a trace is", staged=True)
    v.add_argument("--trace", **PATH)
    v.add_argument("--weights", nargs="*", type=Path, default=[], help="what `train-lstm` made, to be judged")
    v.add_argument("--out", **PATH)
    v = verb("serve", verbs.serve, "serve a request table under each policy (closed loop)", staged=True)
    v.add_argument("--requests", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("metrics", verbs.metrics, "bring all runs together, with the recorded ones")
    v.add_argument("--runs", nargs="+", type=Path, required=True)
    v.add_argument("--decisions", type=Path, help="what benchmarks/decisions.py wrote: cost of a call of each policy")
    v.add_argument("--serve", nargs="+", type=Path, required=True)
    v.add_argument("--recorded", type=Path)
    v.add_argument("--predict", nargs="*", type=Path, default=[], help="what `predict` wrote")
    v.add_argument("--out-runs", **PATH)
    v.add_argument("--out-serve", **PATH)
    v.add_argument("--out-predict", type=Path)
    v = verb("ship", verbs.ship, "put aggregated results of scenarios under recorded/, with provenance")
    v.add_argument("--metrics", **PATH)
    v.add_argument("--serve", **PATH)
    v.add_argument("--scenarios", nargs="+", required=True)
    v.add_argument("--out", **PATH)
    v.add_argument("--command", required=True, help="command that made the results")
    v = verb("figure", verbs.figure, "draw a figure")
    v.add_argument("name")
    v.add_argument("--metrics", **PATH)
    v.add_argument("--serve", **PATH)
    v.add_argument("--trace", type=Path)
    v.add_argument("--measured", type=Path, help="folder of raw.json and calibration.json, measured on a GPU")
    v.add_argument("--fidelity", type=Path, help="table that the verb of that name made")
    v.add_argument("--predict", type=Path, help="table of predictability that `metrics` made")
    v.add_argument("--out", **PATH)
    v.add_argument("--png", **PATH)
    v = verb("tables", verbs.tables, "write the report's tables")
    v.add_argument("--metrics", **PATH)
    v.add_argument("--serve", **PATH)
    v.add_argument("--fidelity", type=Path)
    v.add_argument("--predict", type=Path, help="table of predictability that `metrics` made")
    v.add_argument("--tuned", type=Path, help="parameters that `tune` chose")
    v.add_argument("--decisions", type=Path, help="what benchmarks/decisions.py wrote")
    v.add_argument("--speed", type=Path, help="what benchmarks/cuda.py wrote")
    v.add_argument("--vllm", type=Path, help="folder of what was recorded of vLLM")
    v.add_argument("--beside", nargs="*", type=Path, default=[], help="what `beside-vllm` wrote")
    v.add_argument("--out", **PATH)
    v = verb("numbers", verbs.numbers, "write the numbers that the text quotes")
    v.add_argument("--metrics", **PATH)
    v.add_argument("--serve", **PATH)
    v.add_argument("--calibration", type=Path, help="costs that the build charges")
    v.add_argument("--fidelity", type=Path)
    v.add_argument("--predict", type=Path, help="table of predictability that `metrics` made")
    v.add_argument("--decisions", type=Path, help="what benchmarks/decisions.py wrote")
    v.add_argument("--speed", type=Path, help="what benchmarks/cuda.py wrote")
    v.add_argument("--vllm", type=Path, help="folder of what was recorded of vLLM")
    v.add_argument("--beside", nargs="*", type=Path, default=[], help="what `beside-vllm` wrote")
    v.add_argument("--claims", type=Path)
    v.add_argument("--out-tex", **PATH)
    v.add_argument("--out-json", **PATH)
    v = verb("claims", verbs.claims, "check every claim of the report")
    v.add_argument("--spec", type=Path, default=Path("report/claims.yaml"))
    v.add_argument("--metrics", type=Path)
    v.add_argument("--serve", type=Path)
    v.add_argument("--fidelity", type=Path)
    v.add_argument("--out-json", type=Path)
    v.add_argument("--out-tex", type=Path)
    v.add_argument("--print", type=Path, metavar="CLAIMS.json", help="print checked claims instead")
    v = verb("provenance", verbs.provenance, "write commit, machine and versions for the report")
    v.add_argument("--out", **PATH)
    v = verb("verify", verbs.verify, "check that a trace file is complete and unchanged")
    v.add_argument("file", type=Path)
    v.add_argument("--shipped", action="store_true", help="also against the provenance.json beside it")
    v = verb("ship-traces", machine.ship_traces, "put traces recorded on a GPU under recorded/traces/, with provenance")
    v.add_argument("traces", nargs="+", type=Path)
    v.add_argument("--out", type=Path, default=Path("recorded/traces"))
    v = verb("ship-measurements", machine.ship_measurements, "put runs on a GPU under recorded/fidelity/")
    v.add_argument("measured", nargs="*", type=Path, help="folders that `measure` made")
    v.add_argument("--identity", type=Path, help="file that `identity` made")
    v.add_argument("--out", type=Path, default=Path("recorded/fidelity"))
    v = verb("conformance", conformance.conformance, "hold the engine's steps against those of vLLM's scheduler")
    v.add_argument("cases", nargs="*", type=Path, default=[Path("tests/conformance/cases")], help="files or folders")
    v.add_argument("--against", choices=["vllm", "recorded"], help="default: vllm where it is installed")
    v.add_argument("--keep", type=Path, metavar="FOLDER", help="also write vLLM's steps, as recorded/vllm/conformance")
    v.add_argument("--out", **PATH)
    v = verb("beside-vllm", vllm.beside_vllm, "replay what our engine does in vLLM's mode", staged=True)
    v.add_argument("--requests", **PATH)
    v.add_argument("--out", **PATH)
    v = verb("vllm-choices", vllm.vllm_choices, "run vLLM's scheduler under several settings, side by side")
    v.add_argument("--scenarios", nargs="*", help="default: those with a section `vllm`")
    v.add_argument("--config", nargs="+", default=["config.yaml"])
    v.add_argument("--out", type=Path, default=Path("recorded/vllm/choices"))
    v = verb("vllm-measured", vllm.vllm_measured, "put what a GPU measured of vLLM and of our engine into one table")
    v.add_argument("traces", nargs="+", type=Path)
    v.add_argument("--out", type=Path, default=Path("recorded/vllm/measured"))
    _add_kv_events(stages)
    v = verb("list", verbs.list_, "print every policy, eviction and bound")
    v.add_argument("--metrics", action="store_true", help="print the meaning of every metric instead (docs/metrics.md)")
    return parser


def _add_kv_events(stages: argparse._SubParsersAction) -> None:
    text = "what a vLLM deployment's own KV cache events say of offload"
    actions = stages.add_parser("kv-events", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )

    def action(name: str, call: Callable[[verbs.Arguments], None], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        return added

    a = action("capture", kv_events.kv_events_capture, "write what a running vLLM publishes as an event log")
    a.add_argument("--endpoint", required=True, help="as in vLLM's --kv-events-config, e.g. tcp://localhost:5557")
    a.add_argument("--replay-endpoint", help="where missed batches can be asked for")
    a.add_argument("--topic", default="")
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--history", action="store_true", help="with the batches before that the publisher still has")
    a.add_argument("--token-ids", action="store_true", help="keep token ids and salts, which the report does not need")
    a.add_argument("--out", **PATH)
    a = action(
        "from-trace", kv_events.kv_events_from_trace, "write the event log that a trace of ours would have given"
    )
    a.add_argument("trace", type=Path)
    a.add_argument("--pool-blocks", type=int, help="instead of the recorded pool")
    a.add_argument("--calibration", default="recorded/calibration/calibration.json")
    a.add_argument("--out", **PATH)
    a = action("report", kv_events.kv_events_report, "say what offload would have been worth, and what cannot be said")
    a.add_argument("log", type=Path)
    a.add_argument("--model", default="llama-3-8b", help="shape of the model, for bytes and times")
    a.add_argument("--calibration", default="recorded/calibration/calibration.json", help="costs of links and steps")
    a.add_argument("--allow-gaps", action="store_true", help="count missing batches instead of refusing the log")
    a.add_argument("--min-span-s", type=float, help="shortest log that gets a verdict (default: 300)")
    a.add_argument("--out", type=Path, help="folder for the text and for its figures as tables")


def collect_seldom() -> None:
    """Collect cycles seldom: simulated runs make few, but so many objects that a search after every 700 new ones would
    cost a fifth of the time."""
    gc.set_threshold(100_000, 5, 5)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 with one line on stderr on an error that the user can act on."""
    arguments = _parser().parse_args(argv)
    collect_seldom()
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
