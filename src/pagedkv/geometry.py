"""Model shapes, and the sizes that follow from them.

A *block* holds the keys and values of `BLOCK_TOKENS` tokens over all layers, contiguously (block-major pool), as in
vLLM since 0.12; a *piece* is one layer of one block.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagedkv.errors import PagedKVError

BLOCK_TOKENS = 16


@dataclass(frozen=True)
class Geometry:
    """Shape of a Llama-family decoder. All sizes follow from it; nothing is measured."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied_embeddings: bool = False
    dtype_bytes: int = 2

    @property
    def token_bytes(self) -> int:
        """KV bytes of one token over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype_bytes

    @property
    def block_bytes(self) -> int:
        return BLOCK_TOKENS * self.token_bytes

    @property
    def piece_bytes(self) -> int:
        """One layer of one block: the unit that D-layer moves."""
        return self.block_bytes // self.layers

    @property
    def matmul_parameters(self) -> int:
        """Weights that every token multiplies: attention, MLP and output head (the input embedding is a look-up)."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate) + self.hidden * self.vocabulary

    @property
    def weight_bytes(self) -> int:
        """Bytes that one step streams from GPU memory whatever its batch: the weights of every matrix product."""
        return self.dtype_bytes * self.matmul_parameters

    @property
    def total_weight_bytes(self) -> int:
        """Bytes that the weights occupy, the input embedding included."""
        embedding = 0 if self.tied_embeddings else self.dtype_bytes * self.hidden * self.vocabulary
        return self.weight_bytes + embedding


GEOMETRIES = {
    g.name: g
    for g in (
        Geometry("tiny", 2, 64, 4, 2, 16, 128, 256),
        Geometry("qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, 151936, tied_embeddings=True),
        Geometry("llama-3.2-1b", 16, 2048, 32, 8, 64, 8192, 128256, tied_embeddings=True),
        Geometry("llama-3-8b", 32, 4096, 32, 8, 128, 14336, 128256),
    )
}


def geometry(name: str) -> Geometry:
    """The preset called `name`; PagedKVError names the known ones."""
    if name not in GEOMETRIES:
        raise PagedKVError(f"model '{name}' is unknown; known are {', '.join(GEOMETRIES)}")
    return GEOMETRIES[name]
