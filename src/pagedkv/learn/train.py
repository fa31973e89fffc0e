"""Training of the delta LSTM, in torch on one core. Import it only to train: torch takes seconds to load.

from pagedkv.learn.train import train_file
train_file(Path("trace.kvtrace"), calibration, Path("lstm.npz"))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pagedkv.device.calibration import Calibration
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.learn.faults import Split, fault_calls
from pagedkv.learn.network import CONTEXT, EMBEDDING, FLAGS, MOST_SYMBOLS, UNITS, Network
from pagedkv.learn.tokens import Call, Tokens, as_array
from pagedkv.prefetch._symbols import Symbol, Symbols
from pagedkv.trace import read


@dataclass(frozen=True)
class Training:
    """`share` of the faults, from the beginning, is learnt from: `updates` of Adam, each on `batch` windows of CONTEXT
    tokens at random places, at a learning rate that falls from `rate` to 0."""

    share: float = 0.6
    updates: int = 1000
    batch: int = 16
    rate: float = 5e-3
    seed: int = 1


class _Lstm(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING + FLAGS, UNITS, batch_first=True)
        self.output = nn.Linear(UNITS, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores (batch, length, classes) of what follows each of `tokens` (batch, length, 3)."""
        vectors = torch.cat([self.embedding(tokens[..., 0]), tokens[..., 1:].float()], dim=-1)
        return self.output(self.lstm(vectors)[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights under the names of `Network`."""
        lstm = self.lstm
        named = {
            "embedding": self.embedding.weight,
            "input": lstm.weight_ih_l0,
            "recurrent": lstm.weight_hh_l0,
            "bias": lstm.bias_ih_l0 + lstm.bias_hh_l0,
            "output": self.output.weight,
            "output_bias": self.output.bias,
        }
        return {name: tensor.detach().numpy().copy() for name, tensor in named.items()}


class _Adam:
    """Adam (Kingma and Ba, 2015) with its usual constants, on gradients cut to a norm of 1. Not torch's own, which
    imports the compiler of torch: seconds for nothing."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = list(model.parameters())
        self.moments = [(torch.zeros_like(weight), torch.zeros_like(weight)) for weight in self.weights]
        self.steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        self.steps += 1
        norm = torch.sqrt(sum((weight.grad**2).sum() for weight in self.weights))
        for weight, (mean, square) in zip(self.weights, self.moments, strict=True):
            gradient = weight.grad / norm.clamp(min=1.0)
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient**2, 0.001)
            spread = torch.sqrt(square / (1 - 0.999**self.steps)) + 1e-8
            weight -= rate / (1 - 0.9**self.steps) * mean / spread


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Seeded, and on one thread, where what is used here has one order of summation; torch is left as it was found.

    `torch.use_deterministic_algorithms` would add nothing on a CPU, and imports the compiler of torch.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        try:
            torch.set_num_threads(1)
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(threads)


def frequent_symbols(calls: list[Call]) -> tuple[Symbol, ...]:
    """The MOST_SYMBOLS symbols that occur most often, the most frequent first, of equals the smaller one."""
    symbols, counts = Symbols(), Counter()
    for call in calls:
        for stream, first, count in call:
            for token, times in symbols.push_run(stream, first, count):
                counts[token.symbol] += times
    return tuple(sorted(counts, key=lambda symbol: (-counts[symbol], symbol))[:MOST_SYMBOLS])


def train(
    calls: list[Call], settings: Training | None = None, progress: Callable[[str], None] = lambda line: None
) -> Network:
    """A network trained on all of `calls`. Same calls and settings give the same network, on the same machine.

    Raises PagedKVError if there are no more than CONTEXT accesses: there would be no window with an outcome.
    """
    settings = settings or Training()
    vocabulary = frequent_symbols(calls)
    tokens = Tokens(vocabulary)
    stream = as_array(pair for call in calls for pair in tokens.push(call))
    if len(stream) <= CONTEXT:
        raise PagedKVError(f"lstm: {len(stream)} faults to learn from; at least {CONTEXT + 1} are needed")
    with _deterministic(settings.seed):
        model = _fit(torch.from_numpy(stream), len(vocabulary) + 1, settings, progress)
    return Network(vocabulary, model.arrays(), {"training": asdict(settings), "faults": len(stream)})


def _fit(stream: torch.Tensor, classes: int, settings: Training, progress: Callable[[str], None]) -> _Lstm:
    model = _Lstm(classes)
    adam = _Adam(model)
    window = torch.arange(CONTEXT + 1)
    for update in range(settings.updates):
        starts = torch.randint(len(stream) - CONTEXT, (settings.batch, 1))
        windows = stream[starts + window]
        scores = model(windows[:, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), windows[:, 1:, 0].flatten())
        model.zero_grad()
        loss.backward()
        adam.step(settings.rate * (1 - update / settings.updates))
        if (update + 1) % 100 == 0:
            progress(f"update {update + 1} of {settings.updates}: {loss.item():.3f} nats a token")
    return model


def train_file(
    trace: Path,
    calibration: Calibration,
    out: Path,
    settings: Training | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train on the first part of a trace's faults and write the weights to `out`; returns what the file says about it.

    Raises PagedKVError if that part has too few faults.
    """
    settings = settings or Training()
    recorded = read(trace)
    calls = Split.at(fault_calls(recorded, calibration), settings.share).before
    try:
        network = train(calls, settings, progress)
    except PagedKVError as error:
        raise PagedKVError(f"{trace}: {error}") from error
    network.about.update(scenario=recorded.header["scenario"], trace_sha256=sha256_of(trace))
    network.save(out)
    return network.about
