"""What requests experienced, read from a trace: against what the closed loop itself counted."""

import numpy as np
import pytest

from pagedkv.device.calibration import read_calibration
from pagedkv.engine.record import record, serve_recorded
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.experience import experienced, first_token_steps
from pagedkv.workload.registry import build

ENGINE = EngineSettings(pool_blocks=300, host_blocks=2000, max_num_seqs=8, max_num_batched_tokens=512)


@pytest.fixture(scope="module")
def inputs(repository):
    table = build({"generator": "chat", "seed": 3, "duration_s": 20, "rate_scale": 1.0, "pause_scale": 0.02}, "", {})
    calibration = read_calibration(repository / "recorded/calibration/calibration.json")
    return table, geometry("llama-3-8b"), calibration


@pytest.mark.parametrize("preemption", ["swap", "recompute"])
def test_it_is_what_the_loop_itself_counted(inputs, preemption):
    table, shape, calibration = inputs
    engine = EngineSettings(**{**vars(ENGINE), "preemption": preemption, "max_model_len": 4000})
    loop, _ = serve_recorded(table, engine, shape, calibration)
    found = experienced(record(table, "chat", engine, shape, calibration, 3))
    served = loop.served
    assert found["requests"] == len(served.ttft_s) > 5
    assert found["steps"] == served.steps
    assert found["elapsed_s"] == pytest.approx(served.elapsed_s)
    assert found["ttft_mean_s"] == pytest.approx(np.mean(served.ttft_s))
    assert found["tpot_p50_s"] == pytest.approx(np.percentile(served.tpot_s, 50))
    assert found["stall_s"] == pytest.approx(loop.memory.counts.stall_s)
    assert found["preemptions"] == loop.scheduler.preemptions
    assert found["hit_tokens"] == served.hit_tokens


def test_the_first_token_comes_with_the_last_one_of_the_prompt(inputs):
    table, shape, calibration = inputs
    trace = record(table, "chat", ENGINE, shape, calibration, 3)
    first = first_token_steps(trace)
    reads = trace.reads
    for request, prompt in zip(
        trace.requests["request"].tolist(), trace.requests["prompt_tokens"].tolist(), strict=True
    ):
        own = reads["request"] == request
        before = own & (reads["step"] + reads["steps"] <= first[request])
        done = (reads["computed_tokens"] + reads["steps"] * reads["scheduled_tokens"])[before]
        assert (done < prompt).all(), "an earlier step had computed the whole prompt"


def test_busy_time_is_all_but_idling_and_steps_are_told_apart_by_their_prompts(inputs):
    table, shape, calibration = inputs
    trace = record(table, "chat", ENGINE, shape, calibration, 3)
    found, steps = experienced(trace), trace.steps
    assert found["busy_s"] == pytest.approx(found["elapsed_s"] - steps["idle_us"].sum() * 1e-6)
    prompts = steps["prefill_tokens"] > 0
    assert 0 < prompts.sum() < len(prompts)
    assert found["prompt_step_s"] == pytest.approx(np.median(steps["compute_us"][prompts]) * 1e-6)
    assert found["decode_step_s"] == pytest.approx(np.median(steps["compute_us"][~prompts]) * 1e-6)
