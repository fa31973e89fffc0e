"""vLLM's own scheduler on a CPU, without a model: whatever it schedules counts as computed, and a token comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BLOCK_TOKENS, LAYERS, KV_HEADS, HEAD_DIM = 16, 2, 2, 16
MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": KV_HEADS,
    "num_hidden_layers": LAYERS,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}


class Engine:
    """A scheduler with a pool of `pool_blocks` and prefix caching, which publishes its KV events as `events` says."""

    def __init__(self, folder: Path, pool_blocks: int, events: dict[str, Any]) -> None:
        import torch
        from vllm.config import CacheConfig, DeviceConfig, KVEventsConfig, ModelConfig, SchedulerConfig, VllmConfig
        from vllm.utils.hashing import get_hash_fn_by_name
        from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
        from vllm.v1.core.sched.scheduler import Scheduler
        from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
        from vllm.v1.structured_output import StructuredOutputManager

        (folder / "config.json").write_text(json.dumps(MODEL))
        cache = CacheConfig(block_size=BLOCK_TOKENS, enable_prefix_caching=True)
        limits = {"max_num_seqs": 4, "max_num_batched_tokens": 64, "max_model_len": 1024}
        config = VllmConfig(
            model_config=ModelConfig(model=str(folder), skip_tokenizer_init=True, seed=0, max_model_len=1024),
            cache_config=cache,
            scheduler_config=SchedulerConfig(**limits, is_encoder_decoder=False, enable_chunked_prefill=True),
            device_config=DeviceConfig(device="cpu"),
            kv_events_config=KVEventsConfig(enable_kv_cache_events=True, publisher="zmq", **events),
        )
        cache.num_gpu_blocks = pool_blocks
        shape = {"num_kv_heads": KV_HEADS, "head_size": HEAD_DIM, "dtype": torch.bfloat16}
        spec = FullAttentionSpec(block_size=BLOCK_TOKENS, **shape)
        groups = [KVCacheGroupSpec([f"layer.{n}" for n in range(LAYERS)], spec)]
        hash_function = get_hash_fn_by_name(cache.prefix_caching_hash_algo)
        init_none_hash(hash_function)
        self._hasher = get_request_block_hasher(BLOCK_TOKENS, hash_function)
        self.scheduler = Scheduler(
            vllm_config=config,
            kv_cache_config=KVCacheConfig(num_blocks=pool_blocks, kv_cache_tensors=[], kv_cache_groups=groups),
            block_size=BLOCK_TOKENS,
            structured_output_manager=StructuredOutputManager(config),
        )
        self.published: list[Any] = []
        publish = self.scheduler.kv_event_publisher.publish
        self.scheduler.kv_event_publisher.publish = lambda batch: (self.published.append(batch), publish(batch))

    def add(self, name: str, prompt: list[int], output_tokens: int) -> None:
        from vllm.sampling_params import SamplingParams
        from vllm.v1.request import Request

        sampling = SamplingParams(max_tokens=output_tokens, ignore_eos=True, temperature=0.0)
        self.scheduler.add_request(Request(name, prompt, sampling, None, block_hasher=self._hasher))

    def step(self) -> None:
        from vllm.v1.outputs import ModelRunnerOutput

        planned = self.scheduler.schedule()
        names = list(planned.num_scheduled_tokens)
        tokens = [[1] if self._decodes(name) else [] for name in names]
        places = {name: place for place, name in enumerate(names)}
        self.scheduler.update_from_output(planned, ModelRunnerOutput(names, places, tokens))

    def _decodes(self, name: str) -> bool:
        """Whether the step, which `schedule` has counted already, has computed all tokens that there are."""
        request = self.scheduler.requests[name]
        return request.num_computed_tokens >= request.num_tokens

    def run(self) -> int:
        """Serve what was added to the end; returns the number of steps."""
        steps = 0
        while self.scheduler.has_requests():
            self.step()
            steps += 1
        return steps

    def cached(self) -> set[int]:
        """Hashes under which blocks can be found now, as vLLM's own pool knows them, in the form of its events."""
        from vllm.v1.core.kv_cache_utils import get_block_hash, maybe_convert_block_hash

        found = self.scheduler.kv_cache_manager.block_pool.cached_block_hash_to_block
        return {maybe_convert_block_hash(get_block_hash(key)) for key in found._cache}
