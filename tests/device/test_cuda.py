"""The engine on a device that really computes and moves blocks, with the `tiny` model and little room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pagedkv.device.fed import FedDevice
from pagedkv.device.machine import Machine
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.metric.machine_runs import machine_settings, record_on
from pagedkv.trace import read, write
from tests.device.where import WHERE
from tests.engine.build import TINY, calibration, table

ENGINE = EngineSettings(pool_blocks=40, host_blocks=200, max_num_seqs=3, max_num_batched_tokens=64, quantum_steps=5)
CASES = [
    Case("none"),
    Case("next_n", {"n": 8, "trigger": "tagged"}),
    Case("la_k", {"k": 16, "plan": "stay"}, eviction="plan_aware"),
]


HOUR = 3600.0


def rows(pause: float = 0.3) -> list[dict]:
    """Twelve requests that do not fit together; `pause`: before the second turns, which nobody waits for."""
    shared = [
        {"prompt": 70 + 5 * n, "output": 20, "session": n, "turn": 0, "ids": [1, 2, 3], "at": 0.0} for n in range(4)
    ]
    later = [{"prompt": 120, "output": 9, "session": n, "turn": 1, "ids": [1, 2, 3], "pause": pause} for n in range(4)]
    alone = [{"prompt": 90 + 3 * n, "output": 24 + n, "session": 4 + n, "at": 0.01 * n} for n in range(4)]
    return [row for pair in zip(shared, later, strict=True) for row in pair] + alone


@pytest.fixture(scope="module", params=WHERE)
def machine(request):
    settings = machine_settings(request.param, table(rows()), ENGINE, seed=5)
    with Machine(TINY, replace(settings, trust=True)) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.prefetch}-{case.eviction}")
def test_fed_with_the_times_of_the_run_the_simulator_decides_the_same(machine, tmp_path, case):
    """Conformance (design section 10): decisions and bytes exact, for every table of the trace."""
    wild = record_on(machine, table(rows()), "toy", ENGINE, calibration(), case)
    assert wild.header["evidence"]["wrong_blocks"] == 0
    assert wild.header["evidence"]["verified_blocks"] > 10
    write(wild, tmp_path / "wild.kvtrace")
    device = FedDevice(calibration(), TINY, read(tmp_path / "wild.kvtrace"))
    fed = record(
        table(rows()),
        "toy",
        ENGINE,
        TINY,
        calibration(),
        1,
        device=device,
        policy=case.policy(),
        eviction=case.eviction,
    )
    for name in ("reads", "tables", "events", "plans", "transfers"):
        for column, values in getattr(wild, name).items():
            if not column.endswith("_us"):
                np.testing.assert_array_equal(values, getattr(fed, name)[column], err_msg=f"{name}.{column}")


def test_times_of_a_run_add_up(machine):
    trace = record_on(machine, table(rows(HOUR)), "toy", ENGINE, calibration(), CASES[0])
    steps = trace.steps
    ends = steps["start_us"] + steps["stall_us"] + steps["compute_us"]
    np.testing.assert_allclose(steps["start_us"][1:], ends[:-1] + steps["idle_us"][1:], rtol=0, atol=0.01)
    assert (steps["compute_us"] > 0).all()
    assert (steps["stall_us"] >= 0).all()
    # However slow this machine is, the first turns are over before: the trace has a pause for which nobody waited.
    assert 0.5 * HOUR < steps["idle_us"].sum() * 1e-6 < HOUR
    transfers = trace.transfers
    assert (transfers["done_us"] >= transfers["issue_us"]).all()
    assert trace.header["origin"] == machine.settings.where


def test_host_memory_has_to_be_finite():
    with pytest.raises(PagedKVError, match="number of host_blocks"):
        machine_settings("cpu", table(rows()), replace(ENGINE, host_blocks=None), seed=5)


def test_a_demand_mode_that_is_only_simulated_is_refused(machine):
    with pytest.raises(PagedKVError, match="D-layer is simulated only"):
        record_on(machine, table(rows()), "toy", ENGINE, calibration(), replace(CASES[0], demand="D-layer"))
