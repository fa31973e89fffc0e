# What all rules share. The logic lives in pagedkv.config and pagedkv.imports, where the tests reach it.
import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package runs from this checkout, installed or not.
sys.path.insert(0, "src")
shell.prefix(
    'set -euo pipefail; export PYTHONPATH="$PWD/src${{PYTHONPATH:+:$PYTHONPATH}}"; '
    # Jobs run beside each other: threads of their own only get in each other's way, in small products by far.
    "export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1; "
    # Containers like to set it; then every job would compile what it imports anew, a second and a half each.
    "unset PYTHONDONTWRITEBYTECODE; "
    # Debian and Ubuntu have no `python` of their own.
    'command -v python > /dev/null || python() {{ python3 "$@"; }}; '
)

from pagedkv import config as slices
from pagedkv.errors import PagedKVError
from pagedkv.imports import modules
from pagedkv.metric.leaderboard import parts

try:
    slices.check(config)
    SCENARIOS = list(slices.scenarios(config))
    # Scenario to where its trace comes from on this machine: cuda, recorded, simulated or vllm.
    TRACES = {scenario: slices.trace_source(config, scenario) for scenario in SCENARIOS}
    COMPARED = [name for name in config["leaderboard"]["scenarios"] if name in SCENARIOS]
    PARTS = parts(config["leaderboard"])
    TRAINED = [name for name in config["leaderboard"]["trained"] if name in SCENARIOS]
    OF_VLLM = [name for name, scenario in slices.scenarios(config).items() if "vllm" in scenario]
    SEEDED = [name for name in config["leaderboard"]["seeds"]["scenarios"] if name in SCENARIOS]
except PagedKVError as error:
    raise WorkflowError(str(error)) from None


def settings(stage):
    """For `params`: the slice of the configuration that a stage of a scenario (the first wildcard) depends on, as JSON."""
    of_stage = getattr(slices, f"{stage}_settings")

    def of_job(wildcards):
        return json.dumps(of_stage(config, wildcards[0]), sort_keys=True)

    return of_job


def source_file(wildcards):
    source = slices.source_of(config, wildcards.scenario)
    return f"<results>/sources/{source}" if source else []


def trace_source(wildcards):
    return TRACES[wildcards.scenario]


def scenarios_from(*sources):
    """For `wildcard_constraints`: the scenarios whose traces come from there."""
    return "|".join(scenario for scenario in SCENARIOS if TRACES[scenario] in sources) or "none of them"


def record_code(wildcards):
    more = {"cuda": ["metric.machine_runs"], "vllm": ["vllm.record"]}.get(TRACES[wildcards.scenario], [])
    return modules("engine.record", "prefetch.none", "eviction.lru", "trace", *more)


def drawn_trace(wildcards):
    scenario = config["report"]["trace_of"].get(wildcards.figure)
    return f"<results>/traces/{scenario}.kvtrace" if scenario else []


def weights_for(wildcards):
    """Weights of the learned policy that were trained on another scenario than the one it is judged on."""
    others = [name for name in TRAINED if name != wildcards.scenario]
    return f"<results>/lstm/{others[0]}.npz" if others else []


def measured_folders():
    """Folders of recorded/fidelity with runs on a GPU of the configuration's scenarios."""
    folders = [Path("recorded/fidelity", name) for name in config["fidelity"]["scenarios"] if name in SCENARIOS]
    return [str(folder) for folder in folders if folder.is_dir()]


def measured_files():
    files = [path for folder in ("recorded/fidelity", *measured_folders()) for path in Path(folder).rglob("*.*")]
    return sorted(map(str, files))


def drawn_fidelity(wildcards):
    return "<results>/fidelity.parquet" if wildcards.figure in ("fidelity", "value_measured") else []


def drawn_measurements(wildcards):
    """What the build's calibration was fitted to, and the calibration, where both are shipped."""
    files = [Path(config["calibration"]).with_name(name) for name in ("raw.json", "calibration.json")]
    there = str(files[1]) == config["calibration"] and all(path.exists() for path in files)
    return [str(path) for path in files] if there and wildcards.figure in ("copy_rate", "step_time") else []


def measurements_option(wildcards, input):
    return f"--measured {Path(input.measured[0]).parent}" if input.get("measured") else ""


def shipped_benchmark(name="cuda"):
    path = Path(f"recorded/benchmarks/{name}.json")
    return [str(path)] if path.exists() else []


def of_vllm():
    """What recorded/ ships of vLLM, its traces apart."""
    return sorted(map(str, Path("recorded/vllm").rglob("*.*")))


def vllm_option(wildcards, input):
    beside = f"--beside {' '.join(input.beside)}" if input.get("beside") else ""
    return f"--vllm recorded/vllm {beside}" if input.get("vllm") else beside


def figure_code(wildcards):
    return modules(f"paper.figures.{wildcards.figure}")


def option(flag):
    """For `params`: `--flag PATH` where the job has the input of that name, else nothing."""

    def of_job(wildcards, input):
        path = input.get(flag.removeprefix("--"))
        return f"{flag} {path}" if path else ""

    return of_job


wildcard_constraints:
    scenario="[a-z][a-z0-9_]*",
    source="[a-z][a-z0-9-]*",
    figure="[a-z][a-z0-9_]*",
