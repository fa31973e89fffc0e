"""Weights from a local folder in the format of Hugging Face: config.json and safetensors files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry
from pagedkv.model.config import ModelConfig, RopeScaling
from pagedkv.model.weights import Weights

_ARCHITECTURES = {"LlamaForCausalLM": False, "Qwen3ForCausalLM": True}
"""Whether each one norms the heads of q and k."""

_REQUIRED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "quantization_config": None,
}
"""Settings that this decoder does not have, and the value that says so. A config may leave them out."""


def read_config(folder: Path | str) -> ModelConfig:
    """The model that config.json of `folder` describes; it is called as the folder is.

    PagedKVError if the file is missing or broken, or asks for something that this decoder does not compute.
    """
    path = Path(folder) / "config.json"
    found = _read_json(path)
    architectures = found.get("architectures") or ["none"]
    if architectures[0] not in _ARCHITECTURES:
        raise PagedKVError(f"{path}: architecture {architectures[0]} is none of {', '.join(_ARCHITECTURES)}")
    for key, value in _REQUIRED.items():
        if found.get(key, value) != value:
            raise PagedKVError(f"{path}: {key} {json.dumps(found[key])} is not supported, only {json.dumps(value)}")
    try:
        heads = int(found["num_attention_heads"])
        shape = Geometry(
            name=path.parent.resolve().name,
            layers=int(found["num_hidden_layers"]),
            hidden=int(found["hidden_size"]),
            heads=heads,
            kv_heads=int(found.get("num_key_value_heads") or heads),
            head_dim=int(found.get("head_dim") or found["hidden_size"] // heads),
            intermediate=int(found["intermediate_size"]),
            vocabulary=int(found["vocab_size"]),
            tied_embeddings=bool(found.get("tie_word_embeddings", False)),
        )
        theta, scaling = _rope(path, found)
        eps = float(found["rms_norm_eps"])
    except KeyError as missing:
        raise PagedKVError(f"{path}: key {missing} is missing") from None
    except (TypeError, ValueError) as wrong:
        raise PagedKVError(f"{path}: a size is not a number: {wrong}") from None
    if shape.heads % shape.kv_heads or shape.head_dim % 2:
        raise PagedKVError(f"{path}: {shape.heads} heads of {shape.head_dim} do not share {shape.kv_heads} KV heads")
    return ModelConfig(shape, theta, eps, scaling, _ARCHITECTURES[architectures[0]])


def _rope(path: Path, found: dict[str, Any]) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before)."""
    rope = found.get("rope_parameters") or found.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or found.get("rope_theta") or 10_000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise PagedKVError(f"{path}: rope type {kind} is none of default, llama3")
    names = ("factor", "low_freq_factor", "high_freq_factor")
    return theta, RopeScaling(*(float(rope[name]) for name in names), int(rope["original_max_position_embeddings"]))


def load(folder: Path | str, device: torch.device | str, dtype: torch.dtype) -> Weights:
    """The weights in `folder` (one model.safetensors, or shards with their index), converted to `dtype`.

    PagedKVError names the file and the tensor that is missing, unknown or of the wrong shape.
    """
    folder = Path(folder)
    weights = Weights.empty(read_config(folder), device, dtype)
    places = _places(weights)
    missing = set(places)
    for path, name, tensor in _tensors(folder):
        if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and name not in places):
            continue  # computed here; or the embedding once more
        if name not in places:
            raise PagedKVError(f"{path}: tensor {name} has no place in {weights.config.geometry.name}'s config.json")
        place = places[name]
        if tensor.shape != place.shape:
            raise PagedKVError(f"{path}: {name} is {list(tensor.shape)}, config.json makes it {list(place.shape)}")
        place.copy_(tensor)
        missing.discard(name)
    if missing:
        raise PagedKVError(f"{folder}: {len(missing)} tensors are missing, such as {min(missing)}")
    return weights


def _places(weights: Weights) -> dict[str, torch.Tensor]:
    """By its name in a checkpoint, the part of the weights that each tensor fills."""
    shape = weights.config.geometry
    heads = [shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.kv_heads * shape.head_dim]
    places = {"model.embed_tokens.weight": weights.embedding, "model.norm.weight": weights.norm}
    if not shape.tied_embeddings:
        places["lm_head.weight"] = weights.head
    for number, layer in enumerate(weights.layers):
        q, k, v = layer.qkv.split(heads)
        gate, up = layer.gate_up.chunk(2)
        parts = {
            "input_layernorm": layer.attention_norm,
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.q_norm": layer.q_norm,
            "self_attn.k_norm": layer.k_norm,
            "self_attn.o_proj": layer.attention_out,
            "post_attention_layernorm": layer.mlp_norm,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": layer.down,
        }
        places |= {f"model.layers.{number}.{name}.weight": part for name, part in parts.items() if part is not None}
    return places


def _tensors(folder: Path) -> Iterator[tuple[Path, str, torch.Tensor]]:
    """(file, name, tensor) of everything in the folder's safetensors files, on the CPU, one at a time."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise PagedKVError(f"{folder}: reading weights needs the package safetensors, which is not installed") from None
    index = folder / "model.safetensors.index.json"
    names = sorted(set(_read_json(index).get("weight_map", {}).values())) if index.exists() else ["model.safetensors"]
    for path in (folder / name for name in names):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a dictionary, it cannot be iterated over
                    yield path, name, file.get_tensor(name)
        except (OSError, SafetensorError) as cause:
            raise PagedKVError(f"{path}: not readable as safetensors: {cause}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise PagedKVError(f"{path}: not readable as JSON: {cause}") from None
    if not isinstance(found, dict):
        raise PagedKVError(f"{path}: a JSON object is expected")
    return found
