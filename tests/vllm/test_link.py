"""The copy engine: jobs take the time of the project's links, in the order of submission."""

from types import SimpleNamespace

import numpy as np
import pytest

from pagedkv.device.simulated import SimulatedDevice
from pagedkv.vllm.link import CopyEngine
from tests.engine.build import MS, TINY, calibration


class Shade:
    """Notes what a shadow would be told."""

    def __init__(self):
        self.told = []

    def submit(self, copy):
        self.told.append(("submit", copy.job, copy.slots, copy.cpu_slots))

    def complete(self, job):
        self.told.append(("complete", job))


@pytest.fixture
def made():
    """A block takes 1 ms, a submission 2 ms; the two directions disturb each other."""
    device = SimulatedDevice(calibration(submit_s=2 * MS, contention=0.5), TINY)
    moved, shade = {}, Shade()
    engine = CopyEngine(device, lambda job, start_s, ready_s: moved.update({job: (start_s, ready_s.tolist())}), shade)
    return SimpleNamespace(engine=engine, device=device, moved=moved, told=shade.told)


def spec(*blocks):
    return SimpleNamespace(block_ids=np.array(blocks))


def test_a_job_is_one_submission_of_whole_blocks(made):
    made.device.advance_to(1.0)
    assert made.engine.submit_load(7, spec(40, 41, 42), spec(3, 2, 1))
    start_s, ready_s = made.moved[7]
    assert start_s == 1.0 and ready_s == pytest.approx([1.003, 1.004, 1.005])
    assert made.engine.next_s == ready_s[-1]
    assert made.told == [("submit", 7, [3, 2, 1], [40, 41, 42])]


def test_jobs_of_one_direction_wait_for_each_other(made):
    made.engine.submit_store(1, spec(3), spec(40))
    made.engine.submit_store(2, spec(4), spec(41))
    assert made.moved[2][0] == made.moved[1][1][-1]


def test_the_other_direction_starts_at_once_but_slower(made):
    made.engine.submit_store(1, spec(3), spec(40))
    made.engine.submit_load(2, spec(41), spec(4))
    assert made.moved[2][0] == 0.0
    assert made.moved[2][1][-1] == pytest.approx(0.004)


def test_jobs_end_when_their_time_has_come_in_order_of_their_end(made):
    made.engine.submit_load(1, spec(40, 41, 42), spec(3, 4, 5))
    made.engine.submit_store(2, spec(6), spec(43))
    made.device.advance_to(0.0049)
    made.engine.land()
    assert [said[1] for said in made.told if said[0] == "complete"] == [2]
    made.device.advance_to(1.0)
    made.engine.land()
    assert [said[1] for said in made.told if said[0] == "complete"] == [2, 1]
    assert made.engine.next_s == float("inf")


def test_waiting_holds_the_engine_up_until_the_last_of_the_jobs(made):
    made.engine.submit_store(1, spec(3), spec(40))
    made.engine.submit_store(2, spec(4), spec(41))
    made.device.advance_to(0.001)
    made.engine.wait({1, 2, 99})
    assert made.device.now_s == pytest.approx(0.006)
    assert made.engine.stall_s == pytest.approx(0.005)
    assert made.told[-1] == ("complete", 2)


def test_nobody_waits_for_what_is_done(made):
    made.engine.submit_store(1, spec(3), spec(40))
    made.device.advance_to(1.0)
    made.engine.wait({1})
    assert made.engine.stall_s == 0.0 and made.device.now_s == 1.0


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_each_job_is_reported_once(made):
    made.engine.submit_store(1, spec(3), spec(40))
    assert made.engine.get_finished() == []
    made.device.advance_to(1.0)
    (result,) = made.engine.get_finished()
    assert (result.job_id, result.success) == (1, True)
    assert made.engine.get_finished() == []
