"""A delta LSTM as NumPy arrays: what a policy needs to predict, and the file that training writes.

Training is torch's (`train.py`); a replay must not pay for importing it, nor a scheduler thread for its dispatch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import whole_file
from pagedkv.prefetch._symbols import Symbol

CONTEXT = 64
"""Tokens that a prediction looks back on."""
MOST_SYMBOLS = 1024
"""Symbols that have a class of their own; all others share one more."""
EMBEDDING, UNITS, FLAGS = 32, 128, 2
FORMAT = 1

SHAPES = {
    "embedding": ("classes", EMBEDDING),
    "input": (4 * UNITS, EMBEDDING + FLAGS),
    "recurrent": (4 * UNITS, UNITS),
    "bias": (4 * UNITS,),
    "output": ("classes", UNITS),
    "output_bias": ("classes",),
}
"""Arrays of float32. Gates lie in torch's order: input, forget, cell, output."""

_CELL = slice(2 * UNITS, 3 * UNITS)
_SLOPE = np.full(4 * UNITS, 0.5, np.float32)
_SLOPE[_CELL] = 1.0
"""The three gates are logistic, 0.5 + 0.5 tanh(x / 2); the new cell is tanh(x). So one call does for all four."""

State = tuple[np.ndarray, np.ndarray]
"""Hidden and cell vector, of UNITS each."""


@dataclass(frozen=True)
class Network:
    """`vocabulary[i]` is class i; class `len(vocabulary)` is every other symbol. `about`: what it was trained on."""

    vocabulary: tuple[Symbol, ...]
    arrays: dict[str, np.ndarray]
    about: dict[str, Any]

    @property
    def other(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def _fed(self) -> np.ndarray:
        """What each input adds to the gates, (classes, 2, 2, 4 * UNITS): the embedding and the flags gone through the
        input weights. As a table, because a product of matrices in each call would wake the threads of the BLAS for
        next to nothing."""
        weights = self.arrays["input"]
        fed = self.arrays["embedding"] @ weights[:, :EMBEDDING].T + self.arrays["bias"]
        flags = np.arange(2, dtype=np.float32)[:, None]
        at_end, boundary = (flags * weights[:, EMBEDDING + flag] for flag in range(FLAGS))
        return fed[:, None, None] + at_end[:, None] + boundary

    def run(self, tokens: np.ndarray, state: State | None = None) -> State:
        """The state after `tokens`, an array (length, 3) of inputs (`tokens.py`), from `state` or from zero."""
        hidden, cell = state or (np.zeros(UNITS, np.float32), np.zeros(UNITS, np.float32))
        for fed in self._fed[tuple(tokens.T)]:
            gates = np.tanh(_SLOPE * (fed + self.arrays["recurrent"] @ hidden))
            enter, keep, _, leave = (0.5 + 0.5 * gates).reshape(4, UNITS)
            cell = keep * cell + enter * gates[_CELL]
            hidden = leave * np.tanh(cell)
        return hidden, cell

    def scores(self, state: State) -> np.ndarray:
        """Score of each class as the next symbol: logarithm of its probability, up to a constant."""
        return self.arrays["output"] @ state[0] + self.arrays["output_bias"]

    def likeliest(self, state: State, count: int) -> list[int]:
        """The `count` most probable classes, best first, without that of all other symbols."""
        scores = self.scores(state)[: self.other]
        if count == 1:
            return [int(scores.argmax())] if len(scores) else []
        return np.argsort(-scores, kind="stable")[:count].tolist()

    def save(self, path: Path) -> None:
        """Write the network whole or not at all. Equal networks give equal bytes."""
        about = json.dumps({"format": FORMAT, **self.about}, sort_keys=True).encode()
        columns = {
            **{name: self.arrays[name].astype(np.float32) for name in SHAPES},
            "vocabulary": np.array(self.vocabulary, np.int64).reshape(-1, 2),
            "about": np.frombuffer(about, np.uint8),
        }
        with whole_file(path) as temporary:
            temporary.write_bytes(storage.pack(columns, storage.NPZ))


def load(path: str | Path) -> Network:
    """Read a network. Raises PagedKVError naming file and cause if it is missing, broken, or of another shape."""
    try:
        found = storage.unpack(Path(path).read_bytes(), storage.NPZ)
        about = dict(json.loads(found["about"].tobytes()))
        vocabulary = tuple(Symbol(*pair) for pair in found["vocabulary"].tolist())
        arrays = {name: found[name] for name in SHAPES}
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise PagedKVError(f"{path}: no weights of an lstm: {storage.first_line(error)}") from error
    if about.get("format") != FORMAT:
        raise PagedKVError(f"{path}: weights of format {about.get('format')}, this version reads {FORMAT}")
    for name, expected in SHAPES.items():
        shape = tuple(len(vocabulary) + 1 if size == "classes" else size for size in expected)
        if arrays[name].shape != shape or arrays[name].dtype != np.float32:
            raise PagedKVError(f"{path}: '{name}' is {arrays[name].dtype} {arrays[name].shape}, not float32 {shape}")
    return Network(vocabulary, arrays, about)
