"""Random weights: as many as the model has, reproducible, and with logits that tell contexts apart."""

from dataclasses import replace

import pytest
import torch

from pagedkv.geometry import GEOMETRIES
from pagedkv.model.config import MODELS, model_config
from pagedkv.model.decoder import Decoder, greedy
from pagedkv.model.operations import Operations
from pagedkv.model.weights import Weights
from tests.model.build import Paged, prompt

TINY = model_config("tiny")
TIED = replace(TINY, geometry=replace(TINY.geometry, tied_embeddings=True), qk_norm=True)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_there_are_as_many_as_the_geometry_says(name):
    weights = Weights.empty(MODELS[name], "meta", torch.bfloat16)
    matrices = sum(tensor.nbytes for tensor in weights.tensors() if tensor.ndim == 2)
    assert matrices == GEOMETRIES[name].total_weight_bytes
    assert (weights.head is weights.embedding) == GEOMETRIES[name].tied_embeddings


@pytest.mark.parametrize(
    "name, parameters",
    [("llama-3-8b", 8_030_261_248), ("llama-3.2-1b", 1_235_814_400), ("qwen3-0.6b", 596_049_920)],
)
def test_the_published_number_of_parameters(name, parameters):
    """The sums over the tensors of the publishers' safetensors files, norms included, tied embeddings once."""
    assert sum(tensor.numel() for tensor in Weights.empty(MODELS[name], "meta", torch.bfloat16).tensors()) == parameters


def test_a_seed_decides_the_weights():
    first, again, other = (Weights.random(TIED, seed, "cpu", torch.bfloat16).tensors() for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.ndim == 2)


def last_logits(config, contexts) -> torch.Tensor:
    model = Decoder(Weights.random(config, 0, "cpu", torch.float32), Operations.choose("cpu"), 256)
    return torch.stack([Paged(model).step(a=context)[-1] for context in contexts])


@pytest.mark.parametrize("config", [TINY, TIED], ids=["llama", "tied qwen3"])
def test_the_next_token_depends_on_the_context_and_does_not_echo_it(config):
    contexts = [prompt(64, config.geometry.vocabulary, seed) for seed in range(40)]
    logits = last_logits(config, contexts)
    assert 0.5 < logits.std() < 2.0
    tokens = greedy(logits)[0].tolist()
    assert len(set(tokens)) > 20
    assert sum(token == context[-1] for token, context in zip(tokens, contexts, strict=True)) < 4


def test_a_wrong_block_shows_in_the_output():
    """What a test of swapping relies on: one other block in the middle of the context moves every logit."""
    context = prompt(160, TINY.geometry.vocabulary)
    other = context[:64] + prompt(16, TINY.geometry.vocabulary, seed=1) + context[80:]
    first, second = last_logits(TINY, [context, other])
    assert (first - second).std() > 0.05 * first.std()
