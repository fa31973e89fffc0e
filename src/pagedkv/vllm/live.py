"""vLLM whole, on a GPU, in this process: a model of random weights under the settings of a scenario."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pagedkv.device.points import graph_batches
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
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
) -> Any:
    """A `vllm.LLM` with CUDA graphs for decode at our engine's batch sizes. `folder` takes the model's description.

    Raises PagedKVError where vLLM is missing or cannot do what is asked.
    """
    check_engine(engine, settings)
    if engine.max_model_len > engine.pool_blocks * BLOCK_TOKENS:
        raise PagedKVError(
            f"vllm: its pool has to hold a request of max_model_len, {engine.max_model_len} tokens; "
            f"{engine.pool_blocks} blocks hold {engine.pool_blocks * BLOCK_TOKENS}"
        )
    required()
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
            "cudagraph_capture_sizes": graph_batches(engine.max_num_seqs),
        },
    )


class SkippingClock:
    """The host's clock, on which time without work is skipped and not waited for, as our engine does on a GPU."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now_s(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter() + self._skipped_s

    def skip(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._skipped_s += seconds
