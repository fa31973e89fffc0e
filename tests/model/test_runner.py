"""The runner against the plain decoder: same tokens, whatever order the batches and slots come in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pagedkv.device.base import PlainStep
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS, geometry
from pagedkv.model.config import model_config
from pagedkv.model.decoder import Decoder, empty_pool, greedy
from pagedkv.model.operations import Operations
from pagedkv.model.runner import Runner
from pagedkv.model.step import Rows
from pagedkv.model.weights import Weights

TINY = geometry("tiny")
SLOTS = 64


@dataclass(eq=False)
class Request:
    number: int
    known: int
    contents: np.ndarray
    rank: int = 0
    computed: int = 0
    got: list[int] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        return self.known - self.computed


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(Weights.random(model_config("tiny"), 3, "cpu", torch.float32), Operations.choose("cpu"), 256)


def prompt(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, TINY.vocabulary, 20 + 9 * number).astype(np.int32)


def runner_of(decoder: Decoder, tokens_of=prompt, rows: int = 8) -> tuple[Runner, torch.Tensor]:
    pool = empty_pool(TINY, SLOTS, "cpu", torch.float32)
    pool.fill_(float("nan"))
    pool[0] = 0
    runner = Runner(decoder, pool, max_batch=4, max_tokens=64, max_positions=200, rows=rows)
    runner.begin(tokens_of)
    return runner, pool


def alone(decoder: Decoder, tokens: np.ndarray, count: int) -> list[int]:
    """Greedy continuation of `tokens`, one request, whole prompt at once."""
    pool = empty_pool(TINY, SLOTS, "cpu", torch.float32)
    table = list(range(1, 1 + -(-(len(tokens) + count) // BLOCK_TOKENS)))
    fed, context, produced = torch.from_numpy(tokens).long(), 0, []
    for _ in range(count):
        context += len(fed)
        rows = Rows.of([len(fed)], [context], [table])
        fed = greedy(decoder.forward(fed, rows, pool)[-1:])[0].long()
        produced.append(int(fed))
    return produced


def play(runner: Runner, requests: list[Request], tokens: list[int], slots: np.ndarray) -> None:
    computed, known, ranks = (np.array([getattr(r, name) for r in requests]) for name in ("computed", "known", "rank"))
    step = PlainStep(requests, ranks, computed, np.array(tokens), computed + tokens == known)
    runner.run(step, slots)
    for request, count in zip(requests, tokens, strict=True):
        request.known += count == request.remaining
        request.computed += count


def test_chunks_batches_and_moves_give_the_tokens_of_each_request_alone(decoder):
    runner, pool = runner_of(decoder)
    slots = np.random.default_rng(0).permutation(np.arange(1, SLOTS))
    slots = np.concatenate([slots, [0]])
    a, b, c = (Request(n, len(prompt(n)), np.arange(12) + 12 * n) for n in range(3))
    play(runner, [a, b], [len(prompt(0)), 10], slots)
    play(runner, [a, b, c], [1, 19, 30], slots)
    for _ in range(20):  # `c` has 8 tokens of its prompt left at first
        play(runner, [a, b, c], [1, 1, c.remaining], slots)
    # `b` goes out and comes back into other slots, as after a swap.
    old = slots[b.contents].copy()
    play(runner, [a, c], [1, 1], slots)
    free = np.setdiff1d(np.arange(1, SLOTS), slots[:36])[: len(old)]
    pool[torch.from_numpy(free)] = pool[torch.from_numpy(old)]
    pool[torch.from_numpy(old)] = float("nan")
    slots[b.contents] = free
    b.rank = 7
    for _ in range(20):
        play(runner, [b, a], [1, 1], slots)
    for number in range(3):
        runner.leave(number)
    said = runner.produced()
    for request in (a, b, c):
        count = request.known - len(prompt(request.number))
        assert count > 15
        assert said[request.number].tokens.tolist() == alone(decoder, prompt(request.number), count)
        assert np.isfinite(said[request.number].logits).all()


def test_known_outputs_are_fed_instead_of_samples(decoder):
    """A later turn quotes them, so its prompt has to match what is in the cache."""
    known = np.concatenate([prompt(1), np.array([5, 6, 7], np.int32)])
    runner, _ = runner_of(decoder, lambda number: known)
    request = Request(0, len(prompt(1)), np.arange(8))
    slots = np.arange(1, SLOTS)
    play(runner, [request], [len(prompt(1))], slots)
    for _ in range(4):
        play(runner, [request], [1], slots)
    runner.leave(0)
    said = runner.produced()[0].tokens.tolist()
    expected = []
    for length in range(4):
        expected += alone(decoder, known[: len(prompt(1)) + length], 1)
    assert said[:4] == expected
    assert len(said) == 5


def test_rows_are_reused_and_too_many_requests_are_refused(decoder):
    runner, _ = runner_of(decoder, rows=2)
    slots = np.arange(1, SLOTS)
    requests = [Request(n, len(prompt(n)), np.arange(12) + 12 * n) for n in range(3)]
    play(runner, requests[:2], [8, 8], slots)
    with pytest.raises(PagedKVError, match="no more rows"):
        play(runner, requests[2:], [8], slots)
    runner.leave(0)
    play(runner, requests[2:], [8], slots)


def test_what_unfinished_requests_got_is_there_when_asked_for(decoder):
    runner, _ = runner_of(decoder)
    request = Request(0, len(prompt(0)), np.arange(8))
    play(runner, [request], [len(prompt(0))], np.arange(1, SLOTS))
    assert runner.produced() == {}
    assert len(runner.produced(unfinished=True)[0].tokens) == 1
