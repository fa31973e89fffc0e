"""The traces that this repository ships are those of its configuration, unchanged. Other checks: test_config.py."""

import pytest

from pagedkv import config, trace
from pagedkv.recorded import vouched
from pagedkv.trace.shipped import FOLDER, difference, path_of


@pytest.mark.skipif(not FOLDER.exists(), reason="no traces are shipped yet")
def test_every_scenario_of_the_default_configuration_has_its_trace(at_root, monkeypatch):
    monkeypatch.setattr(config, "gpu_memory_bytes", lambda: 0)
    loaded = config.load()
    for name, scenario in config.scenarios(loaded).items():
        assert config.trace_source({**loaded, "traces": "recorded"}, name) == "recorded"
        shipped = trace.read(vouched(path_of(name)))
        assert shipped.header["origin"] == ("vllm-cuda" if "vllm" in scenario else "cuda")
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6


def test_the_place_of_a_trace():
    assert str(path_of("chat")) == "recorded/traces/chat.kvtrace"


def test_a_trace_of_vllm_fits_only_a_scenario_with_the_same_settings_of_vllm(at_root):
    loaded = config.load()
    scenario = config.scenarios(loaded)["vllm_chat"]
    header = trace.read(path_of("vllm_chat")).header
    workload = config.workload_settings(loaded, "vllm_chat")["workload"]
    about = (header, loaded["model"], scenario["engine"], workload)
    assert difference(*about, {"offload": "lru"}) == ""
    assert difference(*about, {"offload": "arc"}) == "other settings of vLLM"
    assert difference(*about) == "another engine"
