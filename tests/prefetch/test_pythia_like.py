"""SARSA over offsets. With alpha = 1 and gamma = 0 a table holds the last reward, so that choices can be worked out."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.pythia_like import ACTIONS, PythiaLike, Values
from tests.prefetch.feedback import fed
from tests.prefetch.views import blocks


def learner(**parameters):
    """Holds the last reward, never explores, and learns of a choice as soon as two more were made."""
    return PythiaLike(**{"alpha": 1.0, "gamma": 0.0, "epsilon": 0.0, "queue": 1, **parameters})


def offsets(policy, indices, used=(), busy=False):
    """Offset fetched after each access to `indices` of a stream, None for nothing. What was proposed and is accessed is
    a first use if its offset is in `used`, else a fault."""
    found, proposed = [], {}
    for index in indices:
        kind = "use" if proposed.get(index) in used else "fault"
        answer = blocks(policy.propose(fed((0, index, kind), busy=busy)))
        assert len(answer) <= 1
        for _, block in answer:
            proposed[block] = block - index
        found.append(answer[0][1] - index if answer else None)
    return found


def test_wrong_offsets_are_tried_once_and_then_nothing_is_fetched():
    """Blocks 100 apart are never 1 to 32 apart. Every offset earns -8, nothing earns -4: that stays. The first five
    states differ, as the last four deltas fill up; a choice is learnt from two accesses later, so each is made twice or
    three times."""
    found = offsets(learner(), range(0, 10000, 100))
    tried = [offset for offset in dict.fromkeys(found) if offset is not None]
    assert tried == [action for action in ACTIONS if action]
    assert found[-20:] == [None] * 20


def test_the_offset_that_is_used_stays():
    """Blocks 12 apart. 1 3 4 5 10 11 earn -8 and 12, the next one, 20."""
    found = offsets(learner(), range(0, 1200, 12), used={12})
    assert list(dict.fromkeys(found)) == [1, 3, 4, 5, 10, 11, 12]
    assert found[-20:] == [12] * 20


def test_a_block_that_is_waiting_is_not_fetched_again():
    """Block 8 of stream 0 twice: the second time, 9 is still in the queue."""
    policy = learner(queue=8)
    assert [blocks(policy.propose(fed((0, 8, "fault")))) for _ in range(2)] == [[(0, 9)], []]


def test_offsets_do_not_leave_the_stream():
    """Descending by 6 from 12: -6 is the last offset that is tried, and at 0 it would leave."""
    policy = learner()
    found = offsets(policy, list(range(600, -1, -6)), used={-6})
    assert found[-3:-1] == [-6, -6]
    assert found[-1] is None


@pytest.mark.parametrize(
    "kind, busy, reward", [("use", False, 20), ("late", False, 12), ("fault", False, 12), (None, False, -8)]
)
def test_rewards_of_a_fetch(kind, busy, reward):
    """The choice at block 0 is +1, in the state of a stream of which no delta is known. Block 1 is then accessed as
    `kind`, or not at all; two accesses of another stream push the choice out of the queue."""
    policy = learner()
    state = policy.values.state(0, (0, 0, 0, 0))
    policy.propose(fed((0, 0, "fault")))
    if kind is not None:
        policy.propose(fed((0, 1, kind)))
    for index in (500, 700, 900):
        policy.propose(fed((5, index, "fault"), busy=busy))
    assert [row[0] for row in state[:3]] == [reward] * 3


@pytest.mark.parametrize("busy, wrong, nothing", [(False, -8, -4), (True, -14, -2)])
def test_a_busy_link_makes_wrong_fetches_dearer_and_restraint_cheaper(busy, wrong, nothing):
    policy = learner()
    offsets(policy, range(0, 10000, 100), busy=busy)
    steady = policy.values.state(0, (100,) * 4)
    assert [sorted(set(row)) for row in steady] == [[wrong, nothing]] * 6
    assert [row[ACTIONS.index(0)] for row in steady] == [nothing] * 6


def test_an_offset_that_leaves_the_stream_earns_its_own_reward():
    """At block 0 of a stream that descends by 1, -1 is chosen once the others are known to be worse."""
    policy = learner()
    state = policy.values.state(0, (0,) * 4)
    for row in state:
        row[:] = [0.0] * len(ACTIONS)
        row[ACTIONS.index(-3)] = 1.0
    assert offsets(policy, [0]) == [None]
    for index in (500, 700, 900):
        policy.propose(fed((5, index, "fault")))
    assert [row[ACTIONS.index(-3)] for row in state[:3]] == [-12.0] * 3


def test_busy_is_more_than_half_a_step():
    """The helper's step takes as long as its block: one block in flight is more than half of it."""
    assert fed(busy=True).in_flight_blocks * fed().block_load_s > fed().step_s / 2


# ------------------------------------------------------------ values
class Choice:
    def __init__(self, state, action, reward):
        self.state, self.action, self.reward = state, action, reward


def test_sarsa_by_hand():
    """All start at 1 / (1 - 0.5) = 2. Q += 0.1 (20 + 0.5 * 2 - 2) = 2 + 0.1 * 19."""
    values = Values(alpha=0.1, gamma=0.5)
    old, new = values.state(1, (0, 0, 0, 1)), values.state(2, (7, 7, 7, 7))
    values.learn(Choice(old, 2, 20.0), Choice(new, 0, None))
    assert [row[2] for row in old] == [pytest.approx(3.9)] * 6
    assert [row[0] for row in new] == [2.0] * 6


def test_a_state_is_worth_its_better_feature():
    """Three tilings each: stream with last delta 2 + 2 + 2 for action 0, path 5 + 2 + 2 for action 4."""
    values = Values(alpha=0.1, gamma=0.5)
    state = values.state(3, (1, 2, 3, 4))
    assert values.best(state) == 0, "the first of equals"
    state[5][4] = 5.0
    assert values.best(state) == 4


def test_states_share_what_they_have_in_common():
    """Same stream and last delta, other path; and the other way round. Tiles are hashed: these do not collide."""
    values = Values(alpha=0.1, gamma=0.5)
    base, other_path, other_stream = (
        [id(row) for row in values.state(stream, deltas)]
        for stream, deltas in [(1, (1, 1, 1, 2)), (1, (3, 1, 1, 2)), (2, (1, 1, 1, 2))]
    )
    assert base[:3] == other_path[:3] and not set(base[3:]) & set(other_path[3:])
    assert base[3:] == other_stream[3:] and not set(base[:3]) & set(other_stream[:3])
    assert len(set(base)) == 6


# ------------------------------------------------------------ exploration
def test_exploration_is_seeded():
    runs = [offsets(PythiaLike(epsilon=1.0, seed=seed), range(5000, 5400, 4)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) - {None} == {action for action in ACTIONS if action}


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"epsilon": 2}, "pythia_like: epsilon is a number from 0 to 1, not 2"),
        ({"gamma": 1}, "pythia_like: gamma is below 1, not 1"),
        ({"queue": 0}, "pythia_like: queue is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        PythiaLike(**parameters)
    assert str(error.value) == message
