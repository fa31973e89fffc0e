"""Fed what a run with unpredictable times recorded, the engine decides the same, in every table of the trace."""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.device.fed import FedDevice
from pagedkv.device.measured import MeasuredDevice, nanoseconds
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace import read, write
from tests.engine.build import TINY, calibration, table


class Moody(MeasuredDevice):
    """Steps and transfers take what they like, in whole nanoseconds; transfers of a direction arrive in order."""

    origin = "moody"

    def __init__(self, seed: int, patience: float) -> None:
        super().__init__(calibration(), TINY)
        self._random = np.random.default_rng(seed)
        self._patience = patience
        self._arrives: dict[int, np.ndarray] = {}
        self._last = [0.0, 0.0]

    def _moment(self, scale: float) -> float:
        return float(self._random.exponential(scale))

    def move(self, job, quantum):
        quantum = quantum or len(job.contents)
        arrives = np.zeros(len(job.contents))
        for first in range(0, len(arrives), quantum):
            begun = max(self.now_s, self._last[job.direction])
            self._last[job.direction] = nanoseconds(begun + 1e-9 + self._moment(self._patience))
            arrives[first : first + quantum] = self._last[job.direction]
        self._arrives[job.number] = arrives

    def arrived_s(self, job):
        return self._arrives[job.number][-len(job.contents) :]

    def first_arrival_s(self, job):
        return float(self.arrived_s(job)[0])

    def step_times(self, start_s):
        return nanoseconds(self._moment(5e-4)), nanoseconds(1e-9 + self._moment(2e-3))


POLICIES = [("none", {}), ("next_n", {"n": 8, "trigger": "tagged"}), ("la_k", {"k": 4, "plan": "stay"})]
SETTINGS = [
    {"pool_blocks": 24, "max_num_seqs": 3, "quantum_steps": 5},
    {"pool_blocks": 20, "max_num_seqs": 4},
    {"pool_blocks": 20, "max_num_seqs": 4, "host_blocks": 16, "preemption": "recompute"},
]


def _rows(seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    rows = []
    for session in range(8):
        ids = session % 3 * 100 + np.arange(20)
        for turn in range(2):
            row = {"prompt": int(random.integers(20, 90)), "output": int(random.integers(2, 40)), "session": session}
            row |= {"turn": turn, "ids": ids[:3]} | (
                {"pause": 0.004} if turn else {"at": float(random.uniform(0, 0.1))}
            )
            rows.append(row)
    return rows


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("policy, params", POLICIES)
@pytest.mark.parametrize("patience", [2e-4, 8e-3])
def test_fed_with_recorded_times_the_engine_decides_the_same(tmp_path, settings, policy, params, patience):
    requests = table(_rows(1))
    engine = EngineSettings(**settings)

    def run(device):
        prefetch = PREFETCHERS.get(policy)(**params)
        return record(requests, "toy", engine, TINY, calibration(), 1, device=device, policy=prefetch)

    wild = run(Moody(7, patience))
    write(wild, tmp_path / "wild.kvtrace")
    fed = run(FedDevice(calibration(), TINY, read(tmp_path / "wild.kvtrace")))
    for name in ("steps", "reads", "tables", "transfers", "events", "plans", "requests"):
        for column, values in getattr(wild, name).items():
            same = getattr(fed, name)[column]
            assert len(values) == len(same), f"{name} has another length"
            if column.endswith("_us"):
                np.testing.assert_allclose(values, same, rtol=0, atol=1e-3, err_msg=f"{name}.{column}")
            else:
                np.testing.assert_array_equal(values, same, err_msg=f"{name}.{column}")
    assert len(wild.transfers["job"]), "nothing was moved: the test would not notice anything"


def test_a_fed_run_that_decides_otherwise_says_so(tmp_path):
    engine = EngineSettings(pool_blocks=24, max_num_seqs=3, quantum_steps=5)
    wild = record(table(_rows(1)), "toy", engine, TINY, calibration(), 1, device=Moody(7, 1e-3))
    longer = EngineSettings(pool_blocks=24, max_num_seqs=1, quantum_steps=5)
    with pytest.raises(PagedKVError, match="decides otherwise|transfer"):
        record(table(_rows(1)), "toy", longer, TINY, calibration(), 1, device=FedDevice(calibration(), TINY, wild))
