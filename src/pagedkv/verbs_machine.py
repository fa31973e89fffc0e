"""The verbs about a real device: what costs are measured, what the simulator is held against, what is shipped."""

from __future__ import annotations

from pagedkv.errors import PagedKVError
from pagedkv.verbs import Arguments, stage_settings


def calibrate(arguments: Arguments) -> None:
    from pagedkv.device.calibrate import calibrate
    from pagedkv.progress import lines

    calibrate(arguments.device, arguments.model, arguments.out, lines("calibrate"))


def fit(arguments: Arguments) -> None:
    from pagedkv.device.fit import fit_file

    fit_file(arguments.raw, arguments.out)
    if arguments.runs:
        from pagedkv.fidelity.overhead import add_overhead

        add_overhead(arguments.out, arguments.runs)
    print(f"{arguments.out}: fitted to {arguments.raw}")


def measure(arguments: Arguments) -> None:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.metric.machine_runs import measure
    from pagedkv.progress import lines
    from pagedkv.workload.table import read

    settings = stage_settings(arguments, "measure")
    table, calibration = read(arguments.requests), read_calibration(settings["calibration"])
    progress = lines(f"measure {settings['scenario']}")
    measure(arguments.device, table, arguments.trace, settings, calibration, arguments.out, progress)


def identity(arguments: Arguments) -> None:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.geometry import geometry
    from pagedkv.metric.identity import Bench, Trial, identity_rows
    from pagedkv.metric.machine_runs import write_measured
    from pagedkv.progress import lines

    calibration, shape = read_calibration(arguments.calibration), geometry(arguments.model)
    rows = identity_rows(Bench.of(arguments.device, shape, calibration, Trial()), lines("identity"))
    write_measured(arguments.out, arguments.device, rows, model=shape.name)
    wrong = [
        row["case"]
        for row in rows
        if row["mode"] != "cost" and (row["identical"] < row["requests"] or row["wrong_blocks"])
    ]
    if wrong:
        raise PagedKVError(f"identity: other tokens, or other blocks, than without offload under: {', '.join(wrong)}")
    print(f"{arguments.out}: {len(rows)} runs, every request got the same tokens, every block came back as it left")


def ship_traces(arguments: Arguments) -> None:
    from pagedkv.trace.ship import ship

    for path in ship(arguments.traces, arguments.out):
        print(f"{path}: {path.stat().st_size} bytes")


def ship_measurements(arguments: Arguments) -> None:
    from pagedkv.fidelity.ship import ship

    for path in ship(arguments.measured, arguments.identity, arguments.out):
        print(f"{path}: {path.stat().st_size} bytes")


def fidelity(arguments: Arguments) -> None:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.fidelity.table import fidelity_table
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.progress import lines

    calibration, progress = read_calibration(arguments.calibration), lines("fidelity")
    rows = fidelity_table(arguments.measured, calibration, arguments.traces, arguments.identity, progress)
    write_rows(rows, arguments.out)
    for row in rows[rows["kind"] == "bar"].itertuples():
        cause = f"; {row.cause}" if row.cause else ""
        print(f"{row.title}: {row.value:.4g} (bar {row.limit:g}), {row.verdict}{cause}")
