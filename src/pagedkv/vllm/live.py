"""vLLM whole, on a GPU, in this process: a model of random weights under the settings of a scenario."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.vllm.build import model_folder, transfer_config
from pagedkv.vllm.found import required
from pagedkv.vllm.settings import VllmSettings, check_engine

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # The scheduler lives in this process, where it can be watched.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
}


def open_llm(
    geometry: Geometry,
    engine: EngineSettings,
    settings: VllmSettings,
    folder: Path,
    graphs: tuple[int, ...] = (1, 8, 64),
) -> Any:
    """A `vllm.LLM` with CUDA graphs for decode at the batch sizes `graphs`. `folder` takes the model's description.

    Raises PagedKVError where vLLM is missing or cannot do what is asked.
    """
    required()
    check_engine(engine, settings)
    os.environ.update(ENVIRONMENT)

    from vllm import LLM

    return LLM(
        model=str(model_folder(geometry, folder, engine.max_model_len)),
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype="bfloat16",
        block_size=BLOCK_TOKENS,
        max_model_len=engine.max_model_len,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        num_gpu_blocks_override=engine.pool_blocks,
        enable_prefix_caching=engine.prefix_cache,
        scheduler_reserve_full_isl=engine.reserve_full_prompt,
        async_scheduling=settings.async_scheduling,
        kv_transfer_config=transfer_config(geometry, engine, settings),
        compilation_config={
            "mode": 0,
            "cudagraph_mode": "FULL_DECODE_ONLY",
            "cudagraph_capture_sizes": [size for size in graphs if size <= engine.max_num_seqs],
        },
    )
