"""The policy around the network: networks with known answers, so that proposals can be worked out."""

import subprocess
import sys

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch._symbols import NEW, Symbol
from pagedkv.prefetch.lstm import Lstm
from tests.engine.build import replay
from tests.learn.networks import constant
from tests.metric import small
from tests.prefetch.feedback import answer, burst, fed

NEXT, SKIP, RETURNS, COMES = Symbol(0, 1), Symbol(0, 2), Symbol(1, 0), Symbol(NEW, 0)


@pytest.fixture
def policy(tmp_path):
    """A function that makes a policy whose network always scores symbols as given, all others with 9."""

    def make(scores: dict[Symbol, float], **parameters) -> Lstm:
        constant(list(scores), [*scores.values(), 9.0]).save(tmp_path / "weights.npz")
        return Lstm(weights=str(tmp_path / "weights.npz"), **parameters)

    return make


def test_the_likeliest_symbols_are_fetched_best_first(policy):
    """After block 4 of request 7 and block 2 of request 3: SKIP is (3, 4), RETURNS (7, 0), NEXT (3, 3)."""
    made = policy({NEXT: 1, SKIP: 3, RETURNS: 2})
    assert answer(made, (7, 4), (3, 2)) == [(3, 4), (7, 0), (3, 3)]


def test_top_limits_them(policy):
    made = policy({NEXT: 1, SKIP: 3, RETURNS: 2}, top=2)
    assert answer(made, (7, 4), (3, 2)) == [(3, 4), (7, 0)]


def test_a_symbol_that_names_no_block_counts_but_is_not_fetched(policy):
    """A new request is the likeliest, then the next block; two are taken."""
    assert answer(policy({NEXT: 2, COMES: 3, SKIP: 1}, top=2), (7, 4)) == [(7, 5)]


def test_depth_follows_the_likeliest(policy):
    """SKIP each time: 4 6 8; beside it NEXT of the block before: 3 5 7."""
    made = policy({NEXT: 1, SKIP: 3}, depth=3)
    assert answer(made, (3, 2)) == [(3, 4), (3, 3), (3, 6), (3, 5), (3, 8), (3, 7)]


def test_a_path_ends_where_the_likeliest_names_no_block(policy):
    assert answer(policy({NEXT: 2, COMES: 3}, depth=5), (7, 4)) == [(7, 5)]


def test_a_path_leaves_what_was_accessed_alone(policy):
    """Twice the same access gives the same answer, and so do two policies with one file."""
    made = policy({NEXT: 2}, depth=2)
    assert answer(made, (3, 2)) == answer(made, (3, 2)) == answer(policy({NEXT: 2}, depth=2), (3, 2))


def test_one_answer_a_call(policy):
    assert answer(policy({NEXT: 2}), *burst(3, 0, 500), *burst(4, 0, 2)) == [(4, 2)]


def test_a_network_without_symbols_expects_nothing(policy):
    assert answer(policy({}), (3, 2)) == []


@pytest.mark.parametrize("address", ["logical", "physical"])
def test_it_runs_in_the_engine_at_its_level(policy, address):
    """A request that returns is expected whole, from its first block on: two of a kind do the same."""
    trace = small.trace()
    made = [
        replay(trace, policy({RETURNS: 3, NEXT: 2}, depth=6), pool=40, address=address, calibration=small.calibration())
        for _ in range(2)
    ]
    for each in made:
        each.run()
        each.memory.tiers.assert_consistency()
    assert made[0].memory.counts.decision_calls > 0
    assert made[0].memory.issuer.counts == made[1].memory.issuer.counts
    assert made[0].memory.issuer.counts.proposed > 0


def test_without_weights_it_refuses_at_the_first_fault():
    made = Lstm()
    assert made.propose(fed()) == []
    with pytest.raises(PagedKVError) as error:
        answer(made, (1, 0))
    assert str(error.value) == ("lstm: weights is needed: a file written by training on a trace (pagedkv train-lstm)")


def test_weights_that_are_not_there_are_refused_at_once(tmp_path):
    with pytest.raises(PagedKVError, match=f"lstm: weights: there is no file '{tmp_path}/none.npz'"):
        Lstm(weights=f"{tmp_path}/none.npz")


def test_the_label_does_not_name_the_file(policy):
    assert [policy({}).label, policy({}, depth=4).label, Lstm(top=1, depth=2).label] == [
        "lstm",
        "lstm(depth=4)",
        "lstm(top=1, depth=2)",
    ]


def test_no_policy_loads_torch():
    code = "import sys; from pagedkv.prefetch.registry import PREFETCHERS; PREFETCHERS.get('lstm')()"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("parameter", ["top", "depth"])
def test_bad_parameters(parameter):
    with pytest.raises(PagedKVError, match=f"lstm: {parameter} is a whole number from 1 on, not 0"):
        Lstm(**{parameter: 0})
