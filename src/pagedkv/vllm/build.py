"""Puts vLLM's scheduler side together, as its engine would, without a model runner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.vllm.found import required
from pagedkv.vllm.settings import VllmSettings, check_engine

HASH = "sha256"


@dataclass(frozen=True)
class Parts:
    """vLLM's objects: configuration, KV cache configuration, scheduler, and the hasher of a request's blocks."""

    version: str
    config: Any
    kv_config: Any
    scheduler: Any
    hasher: Callable[..., Any]


def model_folder(geometry: Geometry, folder: Path, max_model_len: int) -> Path:
    """A model of that shape as far as vLLM has to know it where weights are dummies or not needed."""
    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": geometry.hidden,
                "intermediate_size": geometry.intermediate,
                "num_attention_heads": geometry.heads,
                "num_key_value_heads": geometry.kv_heads,
                "head_dim": geometry.head_dim,
                "num_hidden_layers": geometry.layers,
                "vocab_size": geometry.vocabulary,
                "max_position_embeddings": max_model_len,
                "rms_norm_eps": 1e-5,
                "torch_dtype": "bfloat16",
                "tie_word_embeddings": geometry.tied_embeddings,
                "hidden_act": "silu",
            }
        )
    )
    return folder


def build(geometry: Geometry, engine: EngineSettings, settings: VllmSettings, folder: Path) -> Parts:
    """vLLM for requests of `engine`'s limits, on a CPU. `folder` takes the model's description.

    Raises PagedKVError where vLLM is missing or cannot do what is asked.
    """
    version = required()
    check_engine(engine, settings)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

    from vllm.config import CacheConfig, DeviceConfig, ModelConfig, SchedulerConfig, VllmConfig
    from vllm.utils.hashing import get_hash_fn_by_name
    from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.structured_output import StructuredOutputManager

    model = model_folder(geometry, folder, engine.max_model_len)
    cache = CacheConfig(
        block_size=BLOCK_TOKENS, enable_prefix_caching=engine.prefix_cache, prefix_caching_hash_algo=HASH
    )
    config = VllmConfig(
        model_config=ModelConfig(
            model=str(model), skip_tokenizer_init=True, dtype="bfloat16", seed=0, max_model_len=engine.max_model_len
        ),
        cache_config=cache,
        scheduler_config=SchedulerConfig(
            max_num_seqs=engine.max_num_seqs,
            max_num_batched_tokens=engine.max_num_batched_tokens,
            max_model_len=engine.max_model_len,
            is_encoder_decoder=False,
            enable_chunked_prefill=True,
            async_scheduling=settings.async_scheduling,
            scheduler_reserve_full_isl=engine.reserve_full_prompt,
        ),
        kv_transfer_config=transfer_config(geometry, engine, settings),
        device_config=DeviceConfig(device="cpu"),
    )
    cache.num_gpu_blocks = engine.pool_blocks
    kv_config = _kv_config(geometry, engine)
    hash_function = get_hash_fn_by_name(HASH)
    init_none_hash(hash_function)
    scheduler = (AsyncScheduler if settings.async_scheduling else Scheduler)(
        vllm_config=config,
        kv_cache_config=kv_config,
        block_size=BLOCK_TOKENS,
        structured_output_manager=StructuredOutputManager(config),
        log_stats=False,
    )
    return Parts(version, config, kv_config, scheduler, get_request_block_hasher(BLOCK_TOKENS, hash_function))


def _kv_config(geometry: Geometry, engine: EngineSettings) -> Any:
    """One group of full attention; the native CPU tier takes the size of a block from the tensors."""
    import torch
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec, KVCacheTensor

    spec = FullAttentionSpec(
        block_size=BLOCK_TOKENS, num_kv_heads=geometry.kv_heads, head_size=geometry.head_dim, dtype=torch.bfloat16
    )
    layers = [f"layer.{number}" for number in range(geometry.layers)]
    tensors = [KVCacheTensor(size=spec.page_size_bytes * engine.pool_blocks, shared_by=[layer]) for layer in layers]
    groups = [KVCacheGroupSpec(layers, spec)]
    return KVCacheConfig(num_blocks=engine.pool_blocks, kv_cache_tensors=tensors, kv_cache_groups=groups)


def transfer_config(geometry: Geometry, engine: EngineSettings, settings: VllmSettings) -> Any:
    """vLLM's native offloading with the engine's host tier; None without offloading."""
    from vllm.config import KVTransferConfig

    if settings.offload == "none":
        return None
    extra = {
        "cpu_bytes_to_use": engine.host_blocks * geometry.block_bytes,
        "eviction_policy": settings.offload,
        "store_threshold": settings.store_threshold,
        "offload_prompt_only": settings.offload_prompt_only,
        "block_size": BLOCK_TOKENS,
    }
    return KVTransferConfig(kv_connector="OffloadingConnector", kv_role="kv_both", kv_connector_extra_config=extra)
