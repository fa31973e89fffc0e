"""Reuse probability by class: the formula and the order by hand, and what the engine tells."""

import math

import numpy as np
import pytest

from pagedkv.engine.replay import Rotation
from pagedkv.errors import PagedKVError
from pagedkv.eviction.workload_aware import Fate, WorkloadAware
from pagedkv.trace.recorder import Recorder
from tests.engine.build import replay, serve, table
from tests.eviction.cache import array, order


def release(policy: WorkloadAware, now_s: float, fate: Fate, turn: int, *contents: int) -> None:
    """A request lets go of `contents`, and nobody else holds them."""
    policy.now_s = now_s
    policy.released(array(*contents), fate, turn)
    policy.insert(array(*contents))


def read(policy: WorkloadAware, now_s: float, *contents: int) -> None:
    policy.now_s = now_s
    policy.remove(array(*contents))
    policy.touch(array(*contents))


def test_the_probability_by_hand():
    """Of two blocks one was read again, after 4 s. With one of either kind added, the share is 2 of 4, and the rate 2
    reads in 4 + 4 s. After 4 s, e^-1 of the half that is read at all is still unread; half of that is read in the next
    4 ln 2 s."""
    policy = WorkloadAware(window_s=4 * math.log(2))
    release(policy, 0.0, Fate.DONE, 0, 0, 1)
    read(policy, 4.0, 0)
    unread = 0.5 * math.exp(-1)
    assert policy._probability(array(1)) == pytest.approx([unread * 0.5 / (0.5 + unread)])


def test_without_a_sample_it_is_lru():
    policy = WorkloadAware()
    release(policy, 0.0, Fate.PAUSED, 0, 3, 2)
    release(policy, 1.0, Fate.DONE, 0, 1)
    release(policy, 2.0, Fate.QUEUED, 3, 0)
    assert order(policy, [0, 1, 2, 3]) == [3, 2, 1, 0]


def test_classes_that_come_back_are_spared():
    """Paused sessions came back each time, finished ones never: of an older paused block and younger finished ones the
    latter go first, the older one of them before the other."""
    policy = WorkloadAware()
    for now_s in range(5):
        release(policy, now_s, Fate.PAUSED, 1, 10, 11)
        release(policy, now_s, Fate.DONE, 1, 2 * now_s, 2 * now_s + 1)
        read(policy, now_s + 0.5, 10, 11)
    policy.remove(np.arange(12))
    release(policy, 6.0, Fate.PAUSED, 1, 10)
    release(policy, 6.5, Fate.DONE, 1, 21)
    release(policy, 6.6, Fate.DONE, 1, 20)
    policy.now_s = 7.0
    assert order(policy, [10, 20, 21]) == [21, 20, 10]
    assert policy.victims(1, lambda contents: contents != 21).tolist() == [20]


def test_a_block_that_is_long_overdue_loses_to_one_of_a_slower_class():
    """First turns came back after 1 s, second ones after 100 s. After 30 s in vain, a block of a first turn is less
    likely to be read than one of a second turn."""
    policy = WorkloadAware()
    for number in range(10):
        release(policy, 1000.0 * number, Fate.PAUSED, 0, 0)
        read(policy, 1000.0 * number + 1, 0)
        release(policy, 1000.0 * number + 2, Fate.PAUSED, 1, 1)
        read(policy, 1000.0 * number + 102, 1)
    release(policy, 20_000.0, Fate.PAUSED, 1, 1)
    release(policy, 20_000.0, Fate.PAUSED, 0, 0)
    assert order(policy, [0, 1]) == [1, 0]
    policy.now_s = 20_030.0
    assert order(policy, [0, 1]) == [0, 1]


def test_a_prefetched_block_waits_from_its_arrival_on():
    policy = WorkloadAware()
    release(policy, 0.0, Fate.DONE, 0, 0)
    release(policy, 1.0, Fate.DONE, 0, 1)
    policy.remove(array(0))
    policy.evicted(array(0))
    policy.now_s = 5.0
    policy.admit(array(0))
    policy.insert(array(0))
    assert order(policy, [0, 1]) == [1, 0]


def test_late_turns_are_one_class():
    policy = WorkloadAware(turns=2)
    release(policy, 0.0, Fate.DONE, 1, 0)
    release(policy, 0.0, Fate.DONE, 7, 1)
    assert policy._class[0] == policy._class[1] == len(Fate) * 2 - 1


@pytest.mark.parametrize("parameters", [{"turns": 0}, {"window_s": -1}, {"window": 3}])
def test_parameters_are_checked(parameters):
    with pytest.raises(PagedKVError, match="workload_aware.*turns|workload_aware.*window"):
        WorkloadAware(**parameters)


# ------------------------------------------------------------ in the engine
def told(memory) -> list[tuple[float, Fate, int, int]]:
    """A list that fills with (time, fate, turn, blocks) of every release."""
    policy, calls = memory.tiers.pool.eviction, []
    released = policy.released

    def listen(contents, fate, turn):
        calls.append((round(policy.now_s, 6), fate, turn, len(contents)))
        released(contents, fate, turn)

    policy.released = listen
    return calls


ROWS = [
    {"prompt": 40, "output": 8, "session": 0, "turn": 0},
    {"prompt": 60, "output": 8, "session": 0, "turn": 1, "pause": 0.02},
    {"prompt": 33, "output": 30, "session": 1, "turn": 0, "at": 0.001},
]
ENGINE = {"pool_blocks": 8, "max_num_seqs": 1, "quantum_steps": 6}


def test_closed_loop_and_replay_tell_fates_and_turns():
    """Two requests take turns every 6 steps of 1 ms, so both are queued at times. The first one finishes and its
    session goes on; the other one and then the second turn finish for good. The pool is too small, so that the same
    victims must have gone for the times to be equal. The very last release has no step in a trace."""
    recorder = Recorder()
    loop = serve(table(ROWS), eviction="workload_aware", recorder=recorder, settings=ENGINE)
    served = told(loop.memory)
    loop.run()
    assert [call[1:3] for call in served if call[1] != Fate.QUEUED] == [
        (Fate.PAUSED, 0),
        (Fate.DONE, 0),
        (Fate.DONE, 1),
    ]
    assert {call[2] for call in served if call[1] == Fate.QUEUED} == {0, 1}
    assert loop.memory.counts.demand_loads > 0
    trace = recorder.finish({"scenario": "toy", "pool_blocks": ENGINE["pool_blocks"]})
    run = replay(trace, pool=ENGINE["pool_blocks"], rotation=Rotation(1, 6), eviction="workload_aware")
    replayed = told(run.memory)
    run.run()
    assert replayed == served[:-1]
