"""Records a real `LLM` that runs in this process, on a GPU: its own model, its own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import Trace
from pagedkv.vllm.feed import Feed, row_of
from pagedkv.vllm.observer import Observer
from pagedkv.vllm.record import header
from pagedkv.vllm.settings import VllmSettings
from pagedkv.workload.table import RequestTable


def record_llm(
    llm: Any,
    table: RequestTable,
    scenario: str,
    geometry: Geometry,
    seed: int,
    machine: Mapping[str, Any],
    *,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], None] = time.sleep,
) -> Trace:
    """Serve `table` with a live `vllm.LLM` and record its block accesses.

    `machine` is what the header says of it (`device.facts`). Requests are sent at their arrival times, counted in
    seconds from now on `clock`; `wait(s)` lets time pass while there are none. The scheduler hears the outputs of the
    workload, not the model's own, as else a later prompt would not match the cached blocks: which blocks are read when
    is real, what the model says is not. A copy starts when the scheduler asks for it and ends when the scheduler hears
    of its end.

    Raises PagedKVError if the scheduler is out of reach or does what the trace cannot say.
    """
    scheduler = scheduler_of(llm)
    engine, settings = settings_of(scheduler)
    recorder = Recorder()
    feed = Feed(table, engine, geometry.vocabulary, recorder)
    _say(scheduler, feed)
    began_s = clock()
    observer = Observer(scheduler, recorder, lambda: clock() - began_s, feed.identify)
    _serve(llm.llm_engine, feed, observer, lambda: clock() - began_s, wait)
    about = {
        "origin": "vllm-cuda",
        "scenario": scenario,
        "device": {"calibration": "", "status": "measured", "of": machine["device"]},
        "machine": dict(machine),
        "observing_s": observer.observing_s,
        "seed": seed,
    }
    return recorder.finish(about | header(observer, feed, table, geometry, engine, settings))


def scheduler_of(llm: Any) -> Any:
    """The scheduler of an `LLM` in this process; PagedKVError if it is elsewhere, or does what cannot be recorded."""
    core = getattr(llm.llm_engine.engine_core, "engine_core", None)
    scheduler = getattr(core, "scheduler", None)
    if scheduler is None:
        raise PagedKVError(
            "vllm: its scheduler runs in another process; export VLLM_ENABLE_V1_MULTIPROCESSING=0 before it is imported"
        )
    config = scheduler.vllm_config
    transfer = config.kv_transfer_config
    extra = {} if transfer is None else transfer.kv_connector_extra_config
    refused = {
        "a connector other than the native offloading": transfer is not None
        and transfer.kv_connector != "OffloadingConnector",
        "priority scheduling": scheduler.policy.value != "fcfs",
        "speculative decoding": config.speculative_config is not None,
        "more than one group of KV caches": len(scheduler.kv_cache_config.kv_cache_groups) != 1,
        f"blocks of other than {BLOCK_TOKENS} tokens": scheduler.block_size != BLOCK_TOKENS,
        "offloading of several blocks at once": extra.get("blocks_per_chunk", 1) != 1
        or int(extra.get("block_size", BLOCK_TOKENS)) != BLOCK_TOKENS,
    }
    for what, is_so in refused.items():
        if is_so:
            raise PagedKVError(f"vllm: {what} cannot be recorded")
    return scheduler


def settings_of(scheduler: Any) -> tuple[EngineSettings, VllmSettings]:
    """The settings under which a live scheduler runs, in our names."""
    transfer = scheduler.vllm_config.kv_transfer_config
    tier = None if transfer is None else scheduler.connector.connector_scheduler.manager
    extra = {} if transfer is None else transfer.kv_connector_extra_config
    engine = EngineSettings(
        pool_blocks=scheduler.kv_cache_manager.block_pool.num_gpu_blocks,
        host_blocks=0 if tier is None else tier._num_blocks,
        max_num_seqs=scheduler.max_num_running_reqs,
        max_num_batched_tokens=scheduler.max_num_scheduled_tokens,
        max_model_len=scheduler.max_model_len,
        preemption="recompute",
        prefix_cache=scheduler.kv_cache_manager.enable_caching,
        reserve_full_prompt=scheduler.scheduler_reserve_full_isl,
    )
    settings = VllmSettings(
        async_scheduling=scheduler.scheduler_config.async_scheduling,
        offload="none" if tier is None else extra.get("eviction_policy", "lru"),
        offload_prompt_only=bool(extra.get("offload_prompt_only", True)),
        store_threshold=int(extra.get("store_threshold", 0)),
    )
    return engine, settings


def _say(scheduler: Any, feed: Feed) -> None:
    """Let the scheduler hear the workload's tokens in place of the sampled ones."""
    update = scheduler.update_from_output

    def told(output: Any, result: Any) -> Any:
        for name, place in result.req_id_to_index.items():
            request = scheduler.requests.get(name)
            if request is not None and result.sampled_token_ids[place]:
                result.sampled_token_ids[place] = [feed.next_token(request)]
        return update(output, result)

    scheduler.update_from_output = told


def _serve(
    engine: Any, feed: Feed, observer: Observer, clock: Callable[[], float], wait: Callable[[float], None]
) -> None:
    from vllm.sampling_params import SamplingParams

    while feed.arrivals or engine.has_unfinished_requests():
        for seen, prompt in feed.due(clock(), lambda: observer.step):
            parameters = SamplingParams(
                max_tokens=seen.output_tokens, ignore_eos=True, temperature=0.0, detokenize=False
            )
            engine.add_request(str(seen.number), {"prompt_token_ids": prompt}, parameters)
        if not engine.has_unfinished_requests():
            if feed.arrivals:
                wait(max(0.0, feed.arrivals.next_s - clock()))
            continue
        for answer in engine.step():
            if answer.finished:
                feed.arrivals.finished(row_of(answer.request_id), clock())
