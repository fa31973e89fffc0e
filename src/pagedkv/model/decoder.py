"""The forward pass of a Llama-family decoder over paged KV."""

from __future__ import annotations

import torch
from torch.nn import functional

from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.model.operations import Operations
from pagedkv.model.rotary import cos_sin_table
from pagedkv.model.step import Rows
from pagedkv.model.weights import Layer, Weights


class Decoder:
    """Weights and the operations that apply them. A request may have at most `max_positions` tokens.

    A decode step launches nine operations a layer, fewer where `operations` do several at once. Nothing in it waits for
    the device, and what it launches depends on shapes alone, so that a step with `rows.decode_only` can be captured in
    a CUDA graph.
    """

    def __init__(self, weights: Weights, operations: Operations, max_positions: int) -> None:
        self.weights = weights
        self.config = weights.config
        self.operations = operations
        self.cos_sin = cos_sin_table(weights.config, max_positions, weights.embedding.device)

    def forward(
        self, tokens: torch.Tensor, rows: Rows, pool: torch.Tensor, sample: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [n, vocabulary] after the flat tokens `sample` (int64 [n]; None: after all). Writes K and V to `pool`.

        tokens: int [T]; pool: [slots, layers, kv_heads, 2, 16, head_dim] with the K and V of the earlier tokens.
        """
        weights, eps = self.weights, self.config.rms_eps
        x, residual = functional.embedding(tokens, weights.embedding), None
        for number, layer in enumerate(weights.layers):
            x, residual = self._layer(number, layer, x, residual, rows, pool)
        if sample is not None:
            x, residual = x[..., sample, :], residual[sample]
        x, _ = self.operations.rms_norm(x, weights.norm, eps, residual)
        return self.operations.product("head", x, weights.head)

    def _layer(
        self, number: int, layer: Layer, x: torch.Tensor, residual: torch.Tensor | None, rows: Rows, pool: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the layer adds to the residual stream, not yet added, and the stream before it."""
        do, eps = self.operations, self.config.rms_eps
        x, residual = do.rms_norm(x, layer.attention_norm, eps, residual)
        qkv = do.product("qkv", x, layer.qkv)
        norms = layer.q_norm, layer.k_norm, eps
        if do.decode_fresh and rows.decode_only:
            x = do.decode_fresh(qkv, self.cos_sin, rows, pool, number, *norms)
        else:
            places = rows.positions, rows.slots, rows.offsets
            x = do.attention(do.write_kv_rope(qkv, self.cos_sin, *places, pool, number, *norms), pool, number, rows)
        x = do.product("attention_out", x.flatten(1), layer.attention_out)
        x, residual = do.rms_norm(x, layer.mlp_norm, eps, residual)
        x = do.swiglu(x, layer.gate_up) if do.swiglu else do.silu_mul(do.linear(x, layer.gate_up))
        return do.product("down", x, layer.down), residual


def greedy(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest token of each row, the first of equals, int32 [n], and its logit, float32 [n]."""
    logit, token = logits.max(dim=-1)
    return token.to(torch.int32), logit.float()


def empty_pool(geometry: Geometry, slots: int, device: torch.device | str, dtype: torch.dtype) -> torch.Tensor:
    """A KV pool without contents: [slots, layers, kv_heads, 2 (K, V), 16, head_dim]. Slot 0 is the null block."""
    shape = (slots, geometry.layers, geometry.kv_heads, 2, BLOCK_TOKENS, geometry.head_dim)
    return torch.empty(shape, device=device, dtype=dtype)
