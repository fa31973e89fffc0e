"""The verbs about vLLM: our engine beside it, and its settings side by side. `record` in `verbs.py` records it."""

from __future__ import annotations

from pagedkv.verbs import Arguments, _engine_inputs, stage_settings


def beside_vllm(arguments: Arguments) -> None:
    from pagedkv.engine.record import record
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.replay import TraceRuns

    settings = stage_settings(arguments, "beside")
    table, geometry, calibration = _engine_inputs(arguments, settings)
    engine = EngineSettings.from_config(settings["engine"])
    about = (table, settings["scenario"], engine, geometry, calibration, settings["seed"])
    trace = record(*about, async_loads=True)  # a request waits for its loads by itself, as in vLLM
    write_rows(TraceRuns(trace, "", calibration, settings).rows(lambda label: None), arguments.out)


def vllm_choices(arguments: Arguments) -> None:
    from pagedkv import config
    from pagedkv.device.calibration import read_calibration
    from pagedkv.engine.settings import EngineSettings
    from pagedkv.geometry import geometry
    from pagedkv.vllm.choices import choice_rows, write_choices
    from pagedkv.vllm.process import hash_seed_fixed
    from pagedkv.workload.registry import build

    hash_seed_fixed()
    loaded = config.load(arguments.config)
    of_vllm = [name for name, scenario in config.scenarios(loaded).items() if "vllm" in scenario]
    rows = []
    for name in arguments.scenarios or of_vllm:
        settings = config.record_settings(loaded, name)
        table = build(config.workload_settings(loaded, name)["workload"], "", loaded["sources"])
        engine, calibration = EngineSettings.from_config(settings["engine"]), read_calibration(settings["calibration"])
        about = (table, name, engine, geometry(settings["model"]), calibration, settings["seed"])
        rows += choice_rows(*about, lambda choice, name=name: print(f"{name}: {choice}", flush=True))
    print(f"{write_choices(arguments.out, rows)}: {len(rows)} runs")


def vllm_measured(arguments: Arguments) -> None:
    from pagedkv.vllm.measured import write_measured

    print(f"{write_measured(arguments.out, arguments.traces)}: {len(arguments.traces)} runs")
