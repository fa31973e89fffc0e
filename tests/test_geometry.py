"""Sizes that follow from model shapes, against figures from outside."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.geometry import GEOMETRIES, geometry


def test_llama_3_8b():
    """32 layers x 8 KV heads x 128 x 2 (K, V) x 2 bytes = 128 KiB a token; 2 MiB a block, 64 KiB a piece. 8.03e9
    parameters; the input embedding (0.53e9 of them) is looked up, not streamed: 15.0 of 16.06 GB."""
    model = geometry("llama-3-8b")
    assert model.token_bytes == 128 << 10
    assert model.block_bytes == 2 << 20
    assert model.piece_bytes == 64 << 10
    assert model.weight_bytes == pytest.approx(15.0e9, rel=0.002)
    assert model.total_weight_bytes == pytest.approx(16.06e9, rel=0.001)


@pytest.mark.parametrize(
    "name, parameters, token_kib",
    # Model cards: 1.24e9 with tied embeddings, 16 layers x 8 x 64; 0.6e9 (0.44e9 without embedding), 28 x 8 x 128.
    [("llama-3.2-1b", 1.236e9, 32), ("qwen3-0.6b", 0.596e9, 112)],
)
def test_tied_embeddings_are_counted_once(name, parameters, token_kib):
    model = geometry(name)
    assert model.matmul_parameters == pytest.approx(parameters, rel=0.003)
    assert model.total_weight_bytes == model.weight_bytes
    assert model.token_bytes == token_kib << 10


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_block_is_whole_pieces(name):
    model = geometry(name)
    assert model.name == name
    assert model.piece_bytes * model.layers == model.block_bytes == 16 * model.token_bytes


@pytest.mark.parametrize(
    "name, multiplied, occupied",
    [
        ("tiny", 90_112, 212_992),
        ("qwen3-0.6b", 595_984_384, 1_191_968_768),
        ("llama-3.2-1b", 1_235_746_816, 2_471_493_632),
        ("llama-3-8b", 7_504_658_432, 16_059_990_016),
    ],
)
def test_weights_by_hand(name, multiplied, occupied):
    """A layer: hidden * head size * (2 * heads + 2 * KV heads) and 3 * hidden * intermediate; then hidden * vocabulary.

    tiny 2 * (64*16*12 + 3*64*128) + 64*256. Qwen3-0.6B 28 * (1024*128*48 + 3*1024*3072) + 1024*151936. Llama-3.2-1B
    16 * (2048*64*80 + 3*2048*8192) + 2048*128256. Llama-3-8B 32 * (4096*128*80 + 3*4096*14336) + 4096*128256.
    In memory 2 bytes each; tiny and Llama-3-8B have an input embedding of their own, hidden * vocabulary more.
    """
    model = geometry(name)
    assert (model.matmul_parameters, model.weight_bytes) == (multiplied, 2 * multiplied)
    assert model.total_weight_bytes == occupied


def test_an_unknown_model_is_named():
    with pytest.raises(PagedKVError, match="model 'gpt' is unknown; known are tiny, qwen3-0.6b"):
        geometry("gpt")
