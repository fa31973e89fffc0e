"""The parameters of a decoder, in the matrices in which it multiplies them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pagedkv.model.config import ModelConfig

_SCORE_STD = 2.0
"""Standard deviation of the attention scores of random weights. At 1 a head averages thousands of tokens away, and
whether a block is right hardly shows in the output; at 2 about 1 token in exp(4) = 55 counts."""


@dataclass(frozen=True)
class Layer:
    """One decoder layer. Matrices are [out, in], norms [hidden], q_norm and k_norm [head_dim]."""

    attention_norm: torch.Tensor
    qkv: torch.Tensor
    """The rows of q's heads, of k's, of v's."""
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    attention_out: torch.Tensor
    mlp_norm: torch.Tensor
    gate_up: torch.Tensor
    """The rows of the gate, of the up projection."""
    down: torch.Tensor


@dataclass(frozen=True)
class Weights:
    """All parameters of a decoder, on one device and of one dtype."""

    config: ModelConfig
    embedding: torch.Tensor
    """[vocabulary, hidden]"""
    layers: tuple[Layer, ...]
    norm: torch.Tensor
    head: torch.Tensor
    """[vocabulary, hidden]; the same tensor as `embedding` where they are tied."""

    @staticmethod
    def empty(config: ModelConfig, device: torch.device | str, dtype: torch.dtype) -> Weights:
        """Right shapes, no values."""
        shape = config.geometry

        def tensor(*size: int) -> torch.Tensor:
            return torch.empty(size, device=device, dtype=dtype)

        def layer() -> Layer:
            return Layer(
                attention_norm=tensor(shape.hidden),
                qkv=tensor((shape.heads + 2 * shape.kv_heads) * shape.head_dim, shape.hidden),
                q_norm=tensor(shape.head_dim) if config.qk_norm else None,
                k_norm=tensor(shape.head_dim) if config.qk_norm else None,
                attention_out=tensor(shape.hidden, shape.heads * shape.head_dim),
                mlp_norm=tensor(shape.hidden),
                gate_up=tensor(2 * shape.intermediate, shape.hidden),
                down=tensor(shape.hidden, shape.intermediate),
            )

        embedding = tensor(shape.vocabulary, shape.hidden)
        head = embedding if shape.tied_embeddings else tensor(shape.vocabulary, shape.hidden)
        layers = tuple(layer() for _ in range(shape.layers))
        return Weights(config, embedding, layers, tensor(shape.hidden), head)

    @staticmethod
    def random(config: ModelConfig, seed: int, device: torch.device | str, dtype: torch.dtype) -> Weights:
        """Normal weights, drawn on the device; the same seed on the same kind of device gives the same.

        Every matrix keeps the variance of what it multiplies, so that each layer adds about as much to the residual
        stream. The embedding is small beside that: with tied embeddings the likeliest next token would otherwise be
        the last one, whatever came before. So logits have a standard deviation near 1 and depend on the context.
        """
        weights = Weights.empty(config, device, dtype)
        generator = torch.Generator(device).manual_seed(seed)
        for tensor in weights.tensors():
            if tensor.ndim == 1:
                tensor.fill_(1.0)
            else:
                tensor.normal_(std=tensor.shape[1] ** -0.5, generator=generator)
        for layer in weights.layers:
            if config.qk_norm:
                layer.q_norm.mul_(_SCORE_STD)
            else:
                layer.qkv[: config.geometry.heads * config.geometry.head_dim].mul_(_SCORE_STD)
        return weights

    def tensors(self) -> list[torch.Tensor]:
        """Each parameter tensor once."""
        outer = [self.embedding, self.norm] + ([] if self.head is self.embedding else [self.head])
        inner = [tensor for layer in self.layers for tensor in vars(layer).values() if tensor is not None]
        return outer + inner
