"""Bug classes 8, 9 and 10: everybody gets on, nobody waits for a load longer than for his own, fetches are early."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pagedkv.device.measured import MeasuredDevice
from pagedkv.engine.requests import Request
from tests.bugs.runs import drain
from tests.engine.build import MS, TINY, calibration, serve, table


class Reluctant(MeasuredDevice):
    """Transfers arrive only when somebody waits for them, or, if `patient` is False, before the next boundary."""

    origin = "reluctant"

    def __init__(self, patient: bool) -> None:
        super().__init__(calibration(), TINY)
        self._patient = patient
        self._arrived: dict[int, np.ndarray] = {}

    def move(self, job, quantum):
        self._arrived[job.number] = np.full(len(job.contents), np.nan if self._patient else self.now_s)

    def arrived_s(self, job):
        return self._arrived[job.number][-len(job.contents) :]

    def first_arrival_s(self, job):
        arrived = self.arrived_s(job)
        arrived[:1] = np.where(np.isnan(arrived[:1]), self.now_s, arrived[:1])
        return float(arrived[0])

    def step_times(self, start_s):
        return 0.0, MS


@pytest.mark.parametrize("usable", [2, 3, 4])
def test_class_08_nobody_waits_for_ever_in_two_to_four_blocks(usable):
    """All states that two or three requests can get into with 2 to 4 blocks on the GPU, for every way of scheduling
    and of completing transfers. The loop's watchdog counts boundaries."""
    runs = 0
    lengths = [(16 * usable - 3, 3), (17, 12), (1, 16 * (usable - 1))]
    for count, host, quantum, preemption in product((2, 3), (0, 1, None), (None, 1), ("swap", "recompute")):
        for completion, (policy, whole) in product(
            ("simulated", "async", "patient", "prompt"), (("none", True), ("none", False), ("la_k", False))
        ):
            rows = [
                {"prompt": prompt, "output": output, **({"ids": [n % 2]} if not whole and prompt > 16 else {})}
                for n, (prompt, output) in enumerate(lengths[:count])
            ]
            settings = {
                "pool_blocks": usable + 1,
                "host_blocks": host,
                "quantum_steps": quantum,
                "preemption": preemption,
                "reserve_full_prompt": whole,
                "max_num_seqs": 2,
                "max_num_batched_tokens": 16,
            }
            device = Reluctant(completion == "patient") if completion in ("patient", "prompt") else None
            loop = serve(
                table(rows), policy, settings=settings, async_loads=completion == "async", leaping=False, device=device
            )
            served = loop.run()
            assert len(served.completion_s) + served.dropped == count
            drain(loop)
            assert loop.memory.tiers.pool.available == usable
            runs += 1
    assert runs == 288


@pytest.mark.parametrize("host_blocks", [0, 1, 4])
def test_class_08_rotation_without_host_memory_gets_on(host_blocks):
    """Bug (livelock): two requests of 5 of 7 blocks take turns. Each loses blocks in the other's turn, and took all of
    the next turn to compute them again."""
    rows = [{"prompt": 60, "output": 16}] * 2
    settings = {"pool_blocks": 8, "max_num_seqs": 1, "max_num_batched_tokens": 16, "quantum_steps": 1}
    served = serve(table(rows), settings={**settings, "host_blocks": host_blocks}).run()
    assert len(served.completion_s) == 2


def test_class_08_a_rotation_that_goes_by_time_alone_is_found(monkeypatch):
    monkeypatch.setattr(Request, "pause", lambda request: None)
    with pytest.raises(AssertionError, match="no progress"):
        test_class_08_rotation_without_host_memory_gets_on(0)


# ------------------------------------------------------------ 9: convoy on a shared load
@pytest.mark.parametrize("asynchronous", [False, True])
def test_class_09_a_shared_load_is_waited_for_once(asynchronous):
    """Six requests on prefix A and two on B, 10 blocks each, all on the host, and one request that needs neither. Each
    prefix is loaded once, 1 ms a block. With D-async who needs nothing runs at once, and A does not wait for B."""
    prefixes = {"A": list(range(10)), "B": list(range(100, 110))}
    rows = [{"prompt": 161, "output": 1, "ids": keys, "at": 0.01 * n} for n, keys in enumerate(prefixes.values())]
    rows.append({"prompt": 16 * 39, "output": 1, "at": 0.1})
    for name in "AAAAAABB":
        rows.append({"prompt": 162, "output": 1, "ids": prefixes[name], "at": 0.3})
    rows.append({"prompt": 8, "output": 1, "at": 0.3})
    settings = {"pool_blocks": 41, "max_num_seqs": 16, "max_num_batched_tokens": 1000}
    loop = serve(table(rows), settings=settings, async_loads=asynchronous)
    served = loop.run()
    loads = loop.memory.counts.demand_loads
    assert 15 < loads <= 20
    waited = sorted(served.ttft_s[3:])
    if asynchronous:
        assert waited[0] == pytest.approx(1 * MS), "who does not need the load runs at once"
        assert max(waited[1:7]) <= (loads - 10 + 1) * MS + 1e-9, "who needs A does not wait for B"
    assert max(waited) <= (loads + 2) * MS


# ------------------------------------------------------------ 10: late trigger
@pytest.mark.parametrize("k", [4, 16, None])
def test_class_10_a_queued_request_is_fetched_before_its_turn(k):
    """One place in the batch, taken for 40 steps of 1 ms. The request in the queue has 6 blocks on the host: all are
    fetched in earlier steps than the one that reads them, arrive in time, and it waits for nothing."""
    rows = [
        {"prompt": 97, "output": 1, "ids": [1, 2, 3, 4, 5, 6]},
        {"prompt": 16 * 14, "output": 1, "at": 0.1},
        {"prompt": 20, "output": 40, "at": 0.2},
        {"prompt": 98, "output": 1, "ids": [1, 2, 3, 4, 5, 6], "at": 0.2},
    ]
    settings = {"pool_blocks": 16, "max_num_seqs": 1, "max_num_batched_tokens": 1000}
    loop = serve(table(rows), "la_k", params={"k": k, "plan": "stay"}, settings=settings)
    served = loop.run()
    counts = loop.memory.counts
    assert served.ttft_s[3] == pytest.approx(41 * MS), "40 steps in the queue, one step of its own"
    assert counts.useful == counts.cross_step == counts.timely > 0
    assert counts.same_step == counts.late == counts.demand_loads == 0
    assert counts.issue_to_need_steps[:2].sum() == 0, "each was fetched at least two steps ahead"
