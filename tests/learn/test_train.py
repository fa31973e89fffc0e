"""Training: what it learns, that it learns the same again, and that a policy can use it."""

import pytest

from pagedkv import trace
from pagedkv.errors import PagedKVError
from pagedkv.learn.faults import Split, fault_calls
from pagedkv.learn.judge import judge
from pagedkv.learn.network import MOST_SYMBOLS, load
from pagedkv.prefetch._symbols import NEW, Symbol
from pagedkv.prefetch.lstm import Lstm
from tests.metric import small
from tests.prefetch.feedback import answer, burst

pytest.importorskip("torch")

from pagedkv.learn.train import Training, frequent_symbols, train, train_file

ROTATION = [[(stream, 0, 7)] for _ in range(20) for stream in (4, 8, 6)]
"""Three requests in turn, seven blocks each."""
BRIEF = Training(updates=80, batch=8, rate=1e-2)


@pytest.fixture(scope="module")
def network():
    return train(ROTATION, BRIEF)


def test_symbols_by_frequency():
    """2 turns of two requests with 3, 3 blocks: 8 next blocks, 2 returns from one stream back, 2 new requests at 0."""
    calls = [[(stream, 0, 3)] for _ in range(2) for stream in (4, 8)]
    assert frequent_symbols(calls) == (Symbol(0, 1), Symbol(NEW, 0), Symbol(1, 0))
    far = [[(1, 3 * place * place, 1)] for place in range(MOST_SYMBOLS + 5)]
    assert len(frequent_symbols(far)) == MOST_SYMBOLS


def test_it_learns_a_rotation(network):
    """Who comes next, after which block, and that a request ends: all of it follows from the tokens."""
    found = judge(network, ROTATION[:30], ROTATION[30:])
    assert found.jumps.places > 20
    assert (found.all.first, found.jumps.first) == (1.0, 1.0)
    assert found.all.bits < 0.1


def test_the_same_calls_give_the_same_network(network):
    again = train(ROTATION, BRIEF)
    assert again.vocabulary == network.vocabulary
    assert all((again.arrays[name] == array).all() for name, array in network.arrays.items())
    other = train(ROTATION, Training(updates=80, batch=8, rate=1e-2, seed=2))
    assert any((other.arrays[name] != array).any() for name, array in network.arrays.items())


def test_a_policy_fetches_the_next_requests(network, tmp_path):
    """Requests of other numbers: after the third has been read, the path goes on with the first, up to its end, and
    into the second."""
    network.save(tmp_path / "weights.npz")
    policy = Lstm(weights=tmp_path / "weights.npz", top=1, depth=9)
    for stream in (11, 15, 10) * 4:
        found = answer(policy, *burst(stream, 0, 7))
    assert found == [*burst(11, 0, 7), (15, 0), (15, 1)]


def test_torch_is_left_as_it_was_found():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads(), torch.random.get_rng_state()
    train(ROTATION, Training(updates=1, batch=1))
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_too_few_faults_are_refused():
    with pytest.raises(PagedKVError, match="lstm: 64 faults to learn from; at least 65 are needed"):
        train([[(1, 0, 64)]])
    with pytest.raises(PagedKVError, match="lstm: 0 faults to learn from"):
        train([])


def test_a_file_is_trained_on_the_first_part_of_its_trace(tmp_path):
    path, out = tmp_path / "toy.kvtrace", tmp_path / "weights.npz"
    made = small.trace()
    digest = trace.write(made, path)
    lines = []
    about = train_file(path, small.calibration(), out, Training(share=0.6, updates=100, batch=2), lines.append)
    calls = Split.at(fault_calls(made, small.calibration()), 0.6).before
    assert about["faults"] == sum(count for call in calls for _, _, count in call)
    assert (about["trace_sha256"], about["scenario"], about["training"]["share"]) == (digest, "toy", 0.6)
    found = load(out)
    assert {**found.about, "format": 1} == {**about, "format": 1}
    assert found.vocabulary == frequent_symbols(calls)
    assert [line.split(":")[0] for line in lines] == ["update 100 of 100"]


def test_a_trace_without_faults_is_named(tmp_path):
    path = tmp_path / "roomy.kvtrace"
    trace.write(small.trace(pool_blocks=400), path)
    with pytest.raises(PagedKVError, match=f"{path}: lstm: 0 faults to learn from"):
        train_file(path, small.calibration(), tmp_path / "weights.npz")
    assert not (tmp_path / "weights.npz").exists()
