"""The network in NumPy: the equations, the file."""

import numpy as np
import pytest

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.learn.network import CONTEXT, EMBEDDING, FLAGS, SHAPES, UNITS, Network, load
from pagedkv.prefetch._symbols import Symbol
from tests.learn.networks import constant

NEXT, SKIP = Symbol(0, 1), Symbol(0, 2)


@pytest.fixture(scope="module")
def random() -> Network:
    """Five classes, small random weights."""
    made, draw = constant([NEXT, SKIP, Symbol(1, 0), Symbol(2, 0)], [0.0] * 5), np.random.default_rng(5)
    arrays = {name: draw.normal(0, 0.3, array.shape).astype(np.float32) for name, array in made.arrays.items()}
    return Network(made.vocabulary, arrays, {"scenario": "toy"})


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    """Three windows of tokens."""
    draw = np.random.default_rng(6)
    return np.stack([draw.integers(0, high, (3, CONTEXT)) for high in (5, 2, 2)], axis=-1)


def test_it_computes_what_torch_computes(random, inputs):
    torch = pytest.importorskip("torch")
    arrays = {name: torch.from_numpy(array) for name, array in random.arrays.items()}
    lstm = torch.nn.LSTM(EMBEDDING + FLAGS, UNITS, batch_first=True)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(arrays["input"])
        lstm.weight_hh_l0.copy_(arrays["recurrent"])
        lstm.bias_ih_l0.copy_(arrays["bias"])
        lstm.bias_hh_l0.zero_()
        tokens = torch.from_numpy(inputs)
        vectors = torch.cat([arrays["embedding"][tokens[..., 0]], tokens[..., 1:].float()], dim=-1)
        last = lstm(vectors)[0][:, -1]
        expected = last @ arrays["output"].T + arrays["output_bias"]
    found = np.stack([random.scores(random.run(window)) for window in inputs])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_window_is_its_parts_and_leaves_a_state_alone(random, inputs):
    for window in inputs:
        whole, begun = random.run(window), random.run(window[:10])
        for _ in range(2):
            np.testing.assert_array_equal(random.run(window[10:], begun), whole)


def test_large_weights_raise_no_overflow(random, inputs):
    loud = Network(random.vocabulary, {name: 1e4 * array for name, array in random.arrays.items()}, {})
    assert np.isfinite(loud.scores(loud.run(inputs[0]))).all()


def test_the_likeliest_come_first_and_all_others_never():
    network = constant([NEXT, SKIP, Symbol(1, 0)], [1.0, 3.0, 1.0, 9.0])
    state = network.run(np.zeros((1, 3), np.int64))
    assert network.likeliest(state, 2) == [1, 0], "of equals the more frequent one, which has the smaller number"
    assert network.likeliest(state, 8) == [1, 0, 2]


# ------------------------------------------------------------ the file
def test_what_was_written_is_read(random, tmp_path):
    for name in ("a.npz", "b.npz"):
        random.save(tmp_path / name)
    found = load(tmp_path / "a.npz")
    assert found.vocabulary == random.vocabulary
    assert found.about == {"format": 1, "scenario": "toy"}
    assert all((found.arrays[name] == random.arrays[name]).all() for name in SHAPES)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def packed(network: Network, **changes) -> bytes:
    columns = {
        **network.arrays,
        "vocabulary": np.array(network.vocabulary),
        "about": np.frombuffer(b'{"format": 1}', np.uint8),
        **changes,
    }
    return storage.pack({name: array for name, array in columns.items() if array is not None}, storage.NPZ)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"bias": np.zeros(3, np.float32)}, r"'bias' is float32 \(3,\), not float32 \(512,\)"),
        ({"output_bias": np.zeros(4, np.float32)}, r"'output_bias' is float32 \(4,\), not float32 \(5,\)"),
        ({"bias": np.zeros(512)}, r"'bias' is float64 \(512,\), not float32 \(512,\)"),
        ({"bias": None}, "no weights of an lstm: .*bias"),
        ({"vocabulary": np.zeros((4, 3), np.int64)}, "no weights of an lstm: "),
        ({"about": np.frombuffer(b"[1]", np.uint8)}, "no weights of an lstm: "),
        ({"about": np.frombuffer(b"{", np.uint8)}, "no weights of an lstm: "),
        ({"about": np.frombuffer(b'{"format": 2}', np.uint8)}, "weights of format 2, this version reads 1"),
    ],
)
def test_a_file_of_another_shape_is_refused(random, tmp_path, changes, message):
    path = tmp_path / "weights.npz"
    path.write_bytes(packed(random, **changes))
    with pytest.raises(PagedKVError, match=f"^{path}: {message}"):
        load(path)


def test_a_broken_or_missing_file_is_refused(random, tmp_path):
    path = tmp_path / "weights.npz"
    with pytest.raises(PagedKVError, match=f"^{path}: cannot be read: No such file"):
        load(path)
    path.write_bytes(packed(random)[:-400])
    with pytest.raises(PagedKVError, match=f"^{path}: no weights of an lstm: "):
        load(path)
