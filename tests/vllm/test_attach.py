"""The recorder on an `LLM` of this process: whoever runs the scheduler, the trace is the same."""

from types import SimpleNamespace

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.vllm.attach import record_llm, scheduler_of, settings_of
from pagedkv.vllm.settings import VllmSettings
from tests.engine.build import TINY
from tests.vllm.llm import Llm
from tests.vllm.runs import engine, recorded, sessions


def attached(settings, folder):
    llm = Llm(engine(), settings, folder)
    run = llm.llm_engine
    clock = {"clock": lambda: run.device.now_s, "wait": run.wait}
    return record_llm(llm, sessions(), "toy", TINY, 1, {"device": "a toy"}, **clock)


@pytest.fixture(params=["none", "lru"])
def both(request, tmp_path):
    settings = VllmSettings(offload=request.param)
    return attached(settings, tmp_path), recorded(sessions(), settings)


@pytest.mark.parametrize("table", ["reads", "tables", "plans", "requests"])
@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_an_llm_gives_the_trace_that_our_driver_gives(both, table):
    """The toy model answers zeros: that prefixes hit all the same is because the scheduler hears the workload."""
    theirs, ours = (getattr(trace, table) for trace in both)
    for name in ours:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=1e-3)


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_its_steps_take_the_time_of_the_clock(both):
    theirs, ours = (trace.steps for trace in both)
    for name in ("start_us", "stall_us", "compute_us", "idle_us"):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=1e-2)


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
def test_its_header_says_so(both):
    theirs, ours = (trace.header for trace in both)
    assert theirs["origin"] == "vllm-cuda" and theirs["device"]["of"] == "a toy"
    same = ("model", "pool_blocks", "host_blocks", "vllm", "workload_sha256", "contents", "preemptions", "requests")
    assert {name: theirs[name] for name in same} == {name: ours[name] for name in same}


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", [VllmSettings(), VllmSettings(True, "arc", False, 2)])
def test_settings_are_read_from_the_scheduler(settings, tmp_path):
    llm = Llm(engine(), settings, tmp_path)
    ours = engine() if settings.offload != "none" else engine(host_blocks=0)
    assert settings_of(scheduler_of(llm)) == (ours, settings)


def test_a_scheduler_in_another_process_is_out_of_reach():
    llm = SimpleNamespace(llm_engine=SimpleNamespace(engine_core=SimpleNamespace()))
    with pytest.raises(PagedKVError, match="VLLM_ENABLE_V1_MULTIPROCESSING=0"):
        scheduler_of(llm)


def live(policy="fcfs", speculative=None, groups=1, block_size=16, connector=None, **extra):
    transfer = None
    if connector is not None:
        transfer = SimpleNamespace(kv_connector=connector, kv_connector_extra_config=extra)
    scheduler = SimpleNamespace(
        policy=SimpleNamespace(value=policy),
        vllm_config=SimpleNamespace(speculative_config=speculative, kv_transfer_config=transfer),
        kv_cache_config=SimpleNamespace(kv_cache_groups=[None] * groups),
        block_size=block_size,
    )
    core = SimpleNamespace(engine_core=SimpleNamespace(scheduler=scheduler))
    return SimpleNamespace(llm_engine=SimpleNamespace(engine_core=core))


def test_what_the_trace_can_say_is_accepted():
    for llm in (live(), live(connector="OffloadingConnector"), live(connector="OffloadingConnector", block_size=16)):
        assert scheduler_of(llm) is llm.llm_engine.engine_core.engine_core.scheduler


@pytest.mark.parametrize(
    "llm, said",
    [
        (live(policy="priority"), "priority scheduling"),
        (live(speculative="ngram"), "speculative decoding"),
        (live(groups=2), "more than one group of KV caches"),
        (live(block_size=32), "blocks of other than 16 tokens"),
        (live(connector="NixlConnector"), "a connector other than the native offloading"),
        (live(connector="OffloadingConnector", blocks_per_chunk=4), "offloading of several blocks at once"),
    ],
)
def test_what_it_cannot_say_is_refused(llm, said):
    with pytest.raises(PagedKVError, match=f"vllm: {said} cannot be recorded"):
        scheduler_of(llm)
