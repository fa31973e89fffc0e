"""Folders in the format of Hugging Face: what is read, and what is refused with which words."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from pagedkv.errors import PagedKVError
from pagedkv.model import checkpoint
from pagedkv.model.config import RopeScaling, model_config
from pagedkv.model.weights import Weights

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "vocab_size": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}
TINY = replace(model_config("tiny"), qk_norm=True)


def write_config(folder, **changes):
    found = {key: value for key, value in (CONFIG | changes).items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(found))


def write_tensors(folder, file="model.safetensors", **changes):
    """The tensors of a random model; `changes` by the last two words of a name in layer 1, joined by __."""
    weights = Weights.random(TINY, 0, "cpu", torch.bfloat16)
    tensors = {name: tensor.clone() for name, tensor in checkpoint._places(weights).items()}
    for name, value in changes.items():
        full = "model.layers.1." + name.replace("__", ".") + ".weight"
        tensors.pop(full, None)
        if value is not None:
            tensors[full] = value
    save_file(tensors, folder / file)
    return weights


def test_a_folder_is_read_back(tmp_path):
    write_config(tmp_path)
    weights = write_tensors(tmp_path)
    found = checkpoint.load(tmp_path, "cpu", torch.bfloat16)
    assert found.config == replace(TINY, geometry=replace(TINY.geometry, name=tmp_path.name))
    assert all(torch.equal(a, b) for a, b in zip(found.tensors(), weights.tensors(), strict=True))


def test_weights_are_converted(tmp_path):
    write_config(tmp_path)
    weights = write_tensors(tmp_path)
    found = checkpoint.load(tmp_path, "cpu", torch.float32)
    assert torch.equal(found.layers[1].qkv, weights.layers[1].qkv.float())


def test_rope_as_written_before_and_since_transformers_5(tmp_path):
    """Llama 3.2's real values. The older format has the base beside the scaling, and may say `type`."""
    values = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    values["original_max_position_embeddings"] = 8192
    expected = (500_000.0, RopeScaling(32.0, 1.0, 4.0, 8192))
    for changes in (
        {"rope_theta": 5e5, "rope_scaling": values | {"rope_type": "llama3"}},
        {"rope_theta": 5e5, "rope_scaling": values | {"type": "llama3"}},
        {"rope_theta": ..., "rope_parameters": values | {"rope_type": "llama3", "rope_theta": 5e5}},
    ):
        write_config(tmp_path, **changes)
        found = checkpoint.read_config(tmp_path)
        assert (found.rope_theta, found.rope_scaling) == expected
    assert model_config("llama-3.2-1b").rope_scaling == expected[1]


def test_sizes_that_old_llama_configs_leave_out(tmp_path):
    write_config(tmp_path, architectures=["LlamaForCausalLM"], num_key_value_heads=..., head_dim=..., rope_theta=...)
    found = checkpoint.read_config(tmp_path)
    assert (found.geometry.kv_heads, found.geometry.head_dim, found.rope_theta) == (4, 16, 10_000.0)
    assert not found.qk_norm


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "architecture GPT2LMHeadModel is none of LlamaForCausalLM, Qwen3"),
        ({"architectures": ...}, "architecture none is none of"),
        ({"hidden_size": ...}, "key 'hidden_size' is missing"),
        ({"hidden_size": "wide"}, "a size is not a number"),
        ({"attention_bias": True}, "attention_bias true is not supported, only false"),
        ({"quantization_config": {"bits": 4}}, 'quantization_config {"bits": 4} is not supported'),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope type yarn is none of default, llama3"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "key 'factor' is missing"),
        ({"num_key_value_heads": 3}, "4 heads of 16 do not share 3 KV heads"),
    ],
)
def test_a_config_that_is_refused(tmp_path, changes, message):
    write_config(tmp_path, **changes)
    with pytest.raises(PagedKVError, match=message) as error:
        checkpoint.read_config(tmp_path)
    assert str(tmp_path / "config.json") in str(error.value)


def test_a_folder_without_or_with_a_broken_config(tmp_path):
    with pytest.raises(PagedKVError, match=r"config.json: not readable as JSON: .*No such file"):
        checkpoint.load(tmp_path, "cpu", torch.float32)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PagedKVError, match="not readable as JSON: Expecting"):
        checkpoint.load(tmp_path, "cpu", torch.float32)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(PagedKVError, match="a JSON object is expected"):
        checkpoint.load(tmp_path, "cpu", torch.float32)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mlp__up_proj": None}, "1 tensors are missing, such as model.layers.1.mlp.up_proj.weight"),
        (
            {"self_attn__k_proj": torch.zeros(64, 64)},
            r"safetensors: model.layers.1.self_attn.k_proj.weight is \[64, 64\], config.json makes it \[32, 64\]",
        ),
        ({"mlp__extra": torch.zeros(1)}, "tensor model.layers.1.mlp.extra.weight has no place"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, changes, message):
    write_config(tmp_path)
    write_tensors(tmp_path, **changes)
    with pytest.raises(PagedKVError, match=message):
        checkpoint.load(tmp_path, "cpu", torch.float32)


def test_files_that_are_missing_or_cut(tmp_path):
    write_config(tmp_path)
    with pytest.raises(PagedKVError, match=r"model\.safetensors: not readable as safetensors"):
        checkpoint.load(tmp_path, "cpu", torch.float32)
    write_tensors(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PagedKVError, match=r"model\.safetensors: not readable as safetensors"):
        checkpoint.load(tmp_path, "cpu", torch.float32)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"model.norm.weight": "part-2.safetensors"}}')
    with pytest.raises(PagedKVError, match=r"part-2\.safetensors: not readable as safetensors"):
        checkpoint.load(tmp_path, "cpu", torch.float32)


def test_without_safetensors_the_error_says_what_to_install(tmp_path, monkeypatch):
    write_config(tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(PagedKVError, match="needs the package safetensors"):
        checkpoint.load(tmp_path, "cpu", torch.float32)


def test_the_output_head_of_a_tied_model_may_be_saved_once_more(tmp_path):
    write_config(tmp_path, tie_word_embeddings=True)
    weights = write_tensors(tmp_path)
    found = checkpoint.load(tmp_path, "cpu", torch.bfloat16)
    assert found.head is found.embedding
    assert torch.equal(found.embedding, weights.embedding)
