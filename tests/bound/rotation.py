"""A recorded rotation, and its replays."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from pagedkv.device.calibration import Calibration, read_calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import Script
from pagedkv.engine.scripting import build_script
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace.recorder import Recorder
from pagedkv.workload.sessions import single_turns

BATCH, QUANTUM = 2, 4
MODEL = geometry("llama-3-8b")


@cache
def measured() -> Calibration:
    """The shipped calibration: a block takes about 39 us on the link, a step about 5 ms."""
    repository = Path(__file__).parents[2]
    return read_calibration(repository / "recorded" / "calibration" / "calibration.json")


@cache
def plain() -> Calibration:
    """The same with submissions that cost nothing and directions that do not disturb each other, as a bound has it."""
    copies = [replace(copy, submit_s=0.0) for copy in (measured().host_to_device, measured().device_to_host)]
    rate = sum(copy.bytes_per_s for copy in copies)
    return replace(measured(), host_to_device=copies[0], device_to_host=copies[1], both_directions_bytes_per_s=rate)


def _memory(policy, parameters, blocks, calibration=None, **options):
    """A memory over Llama-3-8B blocks, and the list into which its owner has to be put."""
    owner = []
    space = Logical(lambda request: owner[0].table_of(request))
    prefetch = PREFETCHERS.get(policy)(**parameters)
    calibration = calibration or measured()
    return build_memory(calibration, MODEL, space, prefetch, pool_blocks=blocks, **options), owner


@cache
def rotation(requests: int = 8, outputs: int = 24) -> Script:
    """Requests of 8-15 blocks and more, two at a time for four steps, recorded while everything fits."""
    number = np.arange(requests)
    table = single_turns(np.zeros(requests), 130 + 13 * number, outputs + 5 * (number % 3), name="rotation", origin={})
    memory, owner = _memory("none", {}, 400)
    settings = EngineSettings(pool_blocks=400, max_num_seqs=BATCH, quantum_steps=QUANTUM)
    recorder = Recorder()
    owner.append(ServeLoop(table, settings, memory, recorder=recorder))
    owner[0].run()
    return build_script(recorder.finish({"scenario": "rotation"}))


def replay(script, policy, parameters, blocks, warmup, **options):
    """The memory after a replay of `script`."""
    memory, owner = _memory(policy, parameters, blocks, **options)
    owner.append(Replay(script, memory, Rotation(BATCH, QUANTUM), None))
    owner[0].run(warmup)
    memory.tiers.assert_consistency()
    return memory
