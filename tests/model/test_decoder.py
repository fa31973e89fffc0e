"""The forward pass: independent of how requests are batched and cut; nothing but the operations that it promises."""

import warnings
from collections import Counter
from dataclasses import fields, replace

import pytest
import torch

from pagedkv.model.config import model_config
from pagedkv.model.decoder import Decoder, empty_pool, greedy
from pagedkv.model.operations import Operations
from pagedkv.model.step import Rows
from pagedkv.model.weights import Weights
from tests.model.build import Paged, prompt

TINY = model_config("tiny")
QWEN = replace(TINY, geometry=replace(TINY.geometry, tied_embeddings=True), qk_norm=True)
VOCABULARY = TINY.geometry.vocabulary


def decoder(config=TINY, dtype=torch.float32, batch_invariant=False, device="cpu"):
    weights = Weights.random(config, 0, device, dtype)
    return Decoder(weights, Operations.choose(device, batch_invariant), max_positions=128)


def mixed(paged: Paged) -> dict[str, torch.Tensor]:
    """Logits of all tokens of two requests: prompts in chunks beside each other and beside decodes."""
    a, b = prompt(40, VOCABULARY, seed=1), prompt(50, VOCABULARY, seed=2)
    first = paged.step(a=a[:13])
    second = paged.step(b=b[:30], a=a[13:39])
    third = paged.step(a=a[39:], b=b[30:49])
    fourth = paged.step(a=[7], b=b[49:])
    return {
        "a": torch.cat([first, second[30:], third[:1], fourth[:1]]),
        "b": torch.cat([second[:30], third[1:], fourth[1:]]),
    }


def alone(paged: Paged) -> dict[str, torch.Tensor]:
    """The same of the same requests, each in one step of its own."""
    return {"a": paged.step(a=[*prompt(40, VOCABULARY, seed=1), 7]), "b": paged.step(b=prompt(50, VOCABULARY, seed=2))}


@pytest.mark.parametrize("config", [TINY, QWEN], ids=["llama", "qwen3"])
def test_a_request_computes_the_same_in_any_batch(config):
    model = decoder(config)
    expected = alone(Paged(model))
    for name, logits in mixed(Paged(model)).items():
        torch.testing.assert_close(logits, expected[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_invariant_means_every_bit(dtype):
    model = decoder(QWEN, dtype, batch_invariant=True)
    expected = alone(Paged(model))
    for name, logits in mixed(Paged(model)).items():
        assert torch.equal(logits, expected[name])


def test_bf16_is_near_float32():
    tokens = prompt(60, VOCABULARY)
    exact, rounded = (Paged(decoder(dtype=dtype)).step(a=tokens) for dtype in (torch.float32, torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).std() < 0.05 * exact.std()


def test_logits_are_of_the_sampled_tokens_only():
    model = decoder()
    tokens = torch.tensor(prompt(30, VOCABULARY))
    rows = Rows.of([20, 10], [20, 10], [[3, 1], [2]])
    pool = empty_pool(TINY.geometry, 4, "cpu", torch.float32)
    every = model.forward(tokens, rows, pool)
    sampled = model.forward(tokens, rows, pool, torch.tensor([19, 29]))
    torch.testing.assert_close(sampled, every[[19, 29]])


@pytest.mark.parametrize("batch_invariant", [False, True])
@pytest.mark.parametrize("context", [0, 1])
def test_padding_rows_disturb_nobody(batch_invariant, context):
    """A decode step padded to the size of a CUDA graph, as `Rows` tells to pad."""
    model, tokens = decoder(batch_invariant=batch_invariant), prompt(21, VOCABULARY)
    plain, padded = Paged(model), Paged(model)
    for paged in (plain, padded):
        paged.step(a=tokens[:20])
    expected = plain.step(a=tokens[20:])
    rows = Rows.of([1, 1, 1], [21, 1, 1], [padded.tables["a"], [0], [0]])
    rows = replace(rows, context=torch.tensor([21, context, context], dtype=torch.int32))
    logits = model.forward(torch.tensor([tokens[20], 0, 0]), rows, padded.pool)
    torch.testing.assert_close(logits[:1], expected)
    padded.lengths["a"] += 1
    torch.testing.assert_close(padded.step(a=[1]), plain.step(a=[1]))


def test_a_decode_step_is_nine_operations_a_layer():
    calls = []

    def counted(name, function):
        return lambda *arguments: calls.append(name) or function(*arguments)

    plain = decoder()
    operations = plain.operations
    given = {f.name: getattr(operations, f.name) for f in fields(operations)}
    watched = Operations(**{name: counted(name, function) for name, function in given.items() if function})
    paged = Paged(Decoder(plain.weights, watched, 128))
    paged.step(a=prompt(5, VOCABULARY))
    calls.clear()
    paged.step(a=[1])
    attention = ["rms_norm", "linear", "write_kv_rope", "paged_decode", "linear"]
    mlp = ["rms_norm", "linear", "silu_mul", "linear"]
    assert calls == (attention + mlp) * TINY.geometry.layers + ["rms_norm", "linear"]


@pytest.mark.parametrize("batch_invariant", [False, True])
def test_the_step_decides_the_attention(batch_invariant):
    used = Counter()
    operations = replace(
        Operations.choose("cpu", batch_invariant),
        paged_decode=None if batch_invariant else lambda q, *_: used.update(["decode"]) or q,
        paged_prefill=lambda q, *_: used.update(["prefill"]) or q,
    )
    paged = Paged(Decoder(Weights.random(TINY, 0, "cpu", torch.float32), operations, 128))
    paged.step(a=[1], b=[1, 2])
    assert used == {"prefill": 2}
    paged.step(a=[1], b=[1])
    assert used == ({"prefill": 4} if batch_invariant else {"prefill": 2, "decode": 2})


def test_greedy_takes_the_first_of_equals():
    tokens, logits = greedy(torch.tensor([[0.0, 2.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]]))
    assert tokens.dtype == torch.int32
    assert tokens.tolist() == [1, 0] and logits.tolist() == [2.0, 5.0]


@pytest.mark.gpu
@pytest.mark.parametrize("batch_invariant", [False, True])
def test_a_decode_step_waits_for_nothing_and_can_be_a_cuda_graph(batch_invariant):
    model = decoder(QWEN, torch.bfloat16, batch_invariant, "cuda")
    paged = Paged(model)
    paged.step(a=prompt(20, VOCABULARY), b=prompt(37, VOCABULARY))
    rows = Rows.of([1, 1], [21, 38], [paged.tables["a"], paged.tables["b"]], "cuda")
    tokens = torch.tensor([1, 2], device="cuda", dtype=torch.int32)
    eager, _ = greedy(model.forward(tokens, rows, paged.pool))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mode is a prototype
        try:
            torch.cuda.set_sync_debug_mode("error")
            model.forward(tokens, rows, paged.pool)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured, _ = greedy(model.forward(tokens, rows, paged.pool))
    captured.zero_()
    graph.replay()
    assert torch.equal(captured, eager)
