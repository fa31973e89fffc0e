"""The verbs on single traces beside `replay`: `grid`, `tune`, `compare`, `seeds` of the leaderboard, and `predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pagedkv.verbs import Arguments, stage_settings

if TYPE_CHECKING:
    from pagedkv.metric.replay import TraceRuns


def _runs(arguments: Arguments, settings: dict) -> TraceRuns:
    from pagedkv import trace
    from pagedkv.device.calibration import read_calibration
    from pagedkv.files import sha256_of
    from pagedkv.metric.replay import TraceRuns

    calibration = read_calibration(settings["calibration"])
    return TraceRuns(trace.read(arguments.trace), sha256_of(arguments.trace), calibration, settings)


def grid(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.compare import grid_rows
    from pagedkv.metric.leaderboard import grid_cases
    from pagedkv.progress import cases_bar

    settings = stage_settings(arguments, "leaderboard")
    section = settings["leaderboard"]
    total = sum(1 for _ in grid_cases(section))
    with cases_bar(f"grid {settings['scenario']}", total) as advance:
        rows = grid_rows(_runs(arguments, settings), section, advance)
    write_rows(rows, arguments.out)


def tune(arguments: Arguments) -> None:
    from pagedkv.files import whole_file
    from pagedkv.metric.aggregate import read_rows
    from pagedkv.metric.leaderboard import tune

    winners = tune({path.stem: read_rows(path) for path in arguments.grids})
    with whole_file(arguments.out) as temporary:
        Path(temporary).write_text(json.dumps(winners, indent=1) + "\n")
    for scenario, entries in winners.items():
        for key, won in entries.items():
            print(f"{scenario}: {key}: {won['params']} ({won['removed_on_others']:.3f} of the stall of the others)")


def compare(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import read_rows, write_rows
    from pagedkv.metric.compare import Played, compare_rows, with_weights
    from pagedkv.progress import lines

    settings = stage_settings(arguments, "leaderboard")
    tuned = json.loads(arguments.tuned.read_text())[settings["scenario"]]
    section = with_weights(settings["leaderboard"], arguments.weights)
    progress = lines(f"compare {settings['scenario']} {arguments.part}")
    played = Played(read_rows(arguments.grid).to_dict("records") if arguments.grid is not None else ())
    rows = compare_rows(_runs(arguments, settings), section, arguments.part, tuned, played, progress)
    write_rows(rows, arguments.out)


def train_lstm(arguments: Arguments) -> None:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.learn.train import Training, train_file
    from pagedkv.progress import lines

    calibration = read_calibration(arguments.calibration)
    train_file(arguments.trace, calibration, arguments.out, Training(), lines("train-lstm"))


def seeds(arguments: Arguments) -> None:
    from pagedkv.device.calibration import read_calibration
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.metric.seeds import seed_rows
    from pagedkv.progress import lines

    settings = stage_settings(arguments, "seeds")
    progress = lines(f"seeds {settings['scenario']}")
    write_rows(seed_rows(settings, read_calibration(settings["calibration"]), progress), arguments.out)


def predict(arguments: Arguments) -> None:
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.predict.learned import judge_rows
    from pagedkv.predict.trace_rows import predict_rows
    from pagedkv.progress import lines

    settings = stage_settings(arguments, "replay")
    progress = lines(f"predict {settings['scenario']}")
    runs = _runs(arguments, settings)
    rows = [*predict_rows(runs, progress), *judge_rows(runs.trace, runs.calibration, arguments.weights)]
    write_rows(rows, arguments.out)
