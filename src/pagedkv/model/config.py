"""What a decoder computes, beyond its shape."""

from __future__ import annotations

from dataclasses import dataclass

from pagedkv.geometry import GEOMETRIES, Geometry, geometry


@dataclass(frozen=True)
class RopeScaling:
    """How Llama 3.1 and later stretch the rotary embedding to longer contexts ("llama3" in Hugging Face's configs)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_positions: int


@dataclass(frozen=True)
class ModelConfig:
    """A decoder of the Llama family: RMSNorm, rotary embedding, grouped-query attention, SwiGLU, no biases."""

    geometry: Geometry
    rope_theta: float
    rms_eps: float
    rope_scaling: RopeScaling | None = None
    qk_norm: bool = False
    """RMSNorm over each head of q and k before the rotary embedding, as in Qwen3."""


MODELS = {
    # As the publishers' config.json have it. `tiny` is ours.
    "tiny": ModelConfig(GEOMETRIES["tiny"], 10_000.0, 1e-5),
    "qwen3-0.6b": ModelConfig(GEOMETRIES["qwen3-0.6b"], 1_000_000.0, 1e-6, qk_norm=True),
    "llama-3.2-1b": ModelConfig(GEOMETRIES["llama-3.2-1b"], 500_000.0, 1e-5, RopeScaling(32.0, 1.0, 4.0, 8192)),
    "llama-3-8b": ModelConfig(GEOMETRIES["llama-3-8b"], 500_000.0, 1e-5),
}


def model_config(name: str) -> ModelConfig:
    """The preset called `name`; PagedKVError names the known ones."""
    return MODELS[geometry(name).name]
