"""The traces that this repository ships are those of its configuration, unchanged. Other checks: test_config.py."""

import pytest

from pagedkv import config, trace
from pagedkv.recorded import vouched
from pagedkv.trace.shipped import FOLDER, path_of


@pytest.mark.skipif(not FOLDER.exists(), reason="no traces are shipped yet")
def test_every_scenario_of_the_default_configuration_has_its_trace(at_root, monkeypatch):
    monkeypatch.setattr(config, "gpu_memory_bytes", lambda: 0)
    loaded = config.load()
    for scenario in config.scenarios(loaded):
        assert config.trace_source({**loaded, "traces": "recorded"}, scenario) == "recorded"
        shipped = trace.read(vouched(path_of(scenario)))
        assert shipped.header["origin"] == "cuda"
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6


def test_the_place_of_a_trace():
    assert str(path_of("chat")) == "recorded/traces/chat.kvtrace"
