"""The stream on which a predictor is trained: the faults of a replay without prefetching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.scripting import build_script
from pagedkv.engine.view import View
from pagedkv.geometry import geometry
from pagedkv.learn.tokens import Call
from pagedkv.prefetch._runs import runs
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.trace.schema import Trace


class _Watch(PrefetchPolicy):
    """Fetches nothing and remembers what it was shown."""

    name = "watch"
    level = Level.I0

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def propose(self, view: View) -> list[Fetch]:
        if len(view.accesses):
            self.calls.append(runs(view.accesses))
        return []


def fault_calls(trace: Trace, calibration: Calibration) -> list[Call]:
    """Faults of a trace in D-step under LRU, in the recorded pool, on logical addresses, call by call."""
    replay: Replay | None = None
    watch, header = _Watch(), trace.header
    memory = build_memory(
        calibration,
        geometry(header["model"]["name"]),
        Logical(lambda request: replay.table_of(request)),
        watch,
        pool_blocks=header["pool_blocks"],
    )
    engine = header["engine"]
    replay = Replay(build_script(trace), memory, Rotation(engine["max_num_seqs"], engine["quantum_steps"]), None)
    replay.run()
    return watch.calls


@dataclass(frozen=True)
class Split:
    """Calls cut where `share` of the faults lie before."""

    before: list[Call]
    after: list[Call]

    @staticmethod
    def at(calls: list[Call], share: float) -> Split:
        sizes = np.cumsum([sum(count for _, _, count in call) for call in calls])
        cut = int(np.searchsorted(sizes, share * sizes[-1])) if len(sizes) else 0
        return Split(calls[:cut], calls[cut:])
