"""The rotary position embedding's table (Su et al. 2021, RoFormer)."""

from __future__ import annotations

import math

import torch

from pagedkv.model.config import ModelConfig, RopeScaling


def cos_sin_table(config: ModelConfig, positions: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """float32 [positions, head_dim], contiguous: head_dim / 2 cosines, then the sines of the same angles.

    Dimension i < head_dim / 2 of a head is rotated together with dimension i + head_dim / 2, by angle i.
    """
    # In float64: a float32 angle is wrong by 0.01 at position 100,000.
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies(config)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(device, torch.float32)


def frequencies(config: ModelConfig) -> torch.Tensor:
    """float64 [head_dim / 2]: radians that one position adds to each angle."""
    head_dim = config.geometry.head_dim
    plain = config.rope_theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    return plain if config.rope_scaling is None else _stretched(plain, config.rope_scaling)


def _stretched(plain: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    """Llama 3.1: slow rotations are slowed by `factor`, fast ones are left, those between are blended linearly."""
    turns = scaling.original_positions * plain / (2 * math.pi)  # in the context of the original training
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = kept.clamp(0.0, 1.0)
    return plain * (kept + (1.0 - kept) / scaling.factor)
