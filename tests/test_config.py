"""config.yaml: what is refused and with which words, how files lie over each other, and what a stage gets to see."""

import copy

import pytest
import yaml

from pagedkv import config
from pagedkv.errors import PagedKVError


@pytest.fixture(autouse=True)
def _at_the_root(repository, monkeypatch):
    monkeypatch.chdir(repository)


@pytest.fixture
def settings(repository):
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.mark.parametrize("extra", [[], ["config/smoke.yaml"], ["config/real.yaml"]])
def test_the_shipped_configurations_are_valid(extra):
    assert config.load(["config.yaml", *extra])


def _without(key):
    return lambda c: c.pop(key)


def _set(*path):
    *folders, key, value = path

    def change(c):
        for folder in folders:
            c = c[folder]
        c[key] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (_set("polices", []), "config: top level: unknown key 'polices'; known are traces, model"),
        (_without("seed"), "config: top level: 'seed' is a required property"),
        (_set("seed", "one"), "config: seed: 'one' is not of type 'integer'"),
        (_set("seed", -1), "config: seed: -1 is less than the minimum of 0"),
        (_set("traces", "maybe"), "config: traces: 'maybe' is not one of ['auto', 'record', 'recorded']"),
        (_set("scenarios", {}), "config: scenarios: {} should be non-empty"),
        (
            _set("scenarios", "chat", "engine", "pool_block", 9),
            "config: scenarios.chat.engine: unknown key 'pool_block'; known are pool_blocks",
        ),
        (
            _set("scenarios", "chat", "engine", "pool_blocks", 0),
            "config: scenarios.chat.engine.pool_blocks: 0 is less than the minimum of 1",
        ),
        (
            _set("scenarios", "chat", "workload", {"duration_s": 5}),
            "config: scenarios.chat.workload: one of 'generator' and 'source' is needed",
        ),
        (
            _set("scenarios", "chat", "workload", {"source": "nowhere"}),
            "config: scenarios.chat.workload.source: 'nowhere' is none of the sources",
        ),
        (_set("replay", "demand", ["D-foo"]), "config: replay.demand.0: 'D-foo' is not one of"),
        (_set("replay", "link_scale", [0]), "config: replay.link_scale.0: 0 is less than or equal to the minimum of 0"),
        (_set("replay", "policies", 0, {"prefetcher": "none"}), "config: replay.policies.0: unknown key 'prefetcher'"),
        (_set("serve", [{"prefetch": "none"}]), "config: serve.0: 'eviction' is a required property"),
        (_set("report", "figures", "all"), "config: report.figures: 'all' is not of type 'array'"),
        (_set("report", "trace_of", {"anatomy": "x"}), "config: report.trace_of.anatomy: there is no scenario 'x'"),
        (
            _set("sources", "some-trace", {"reader": "csv"}),
            "config: sources.some-trace",
        ),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(settings, change, message):
    change(settings)
    with pytest.raises(PagedKVError) as raised:
        config.check(settings)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_to_record_without_a_cuda_device_is_one_line(settings, monkeypatch):
    monkeypatch.setattr(config.shutil, "which", lambda name: None)
    settings["traces"] = "record"
    with pytest.raises(PagedKVError, match=r"^config: traces: 'record' needs a CUDA device"):
        config.check(settings)


@pytest.mark.parametrize(
    "text, cause", [(None, "cannot be read"), ("a: [", "not YAML"), ("- a", "not a table of settings")]
)
def test_a_file_that_is_none_is_named_with_the_cause(tmp_path, text, cause):
    path = tmp_path / "own.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PagedKVError, match=cause) as raised:
        config.load(["config.yaml", path])
    assert str(raised.value).startswith(f"{path}: ")


def test_a_later_file_changes_single_keys_replaces_lists_and_leaves_scenarios_out(tmp_path):
    own = {"scenarios": {"chat": {"workload": {"duration_s": 7}}, "fits": None}, "replay": {"demand": ["D-step"]}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(own))
    merged = config.load(["config.yaml", path])
    assert merged["scenarios"]["chat"]["workload"] == {"generator": "chat", "duration_s": 7, "rate_scale": 0.75}
    assert merged["replay"]["demand"] == ["D-step"]
    assert "fits" not in config.scenarios(merged)
    with pytest.raises(PagedKVError, match="no scenario 'fits'"):
        config.replay_settings(merged, "fits")


def test_what_a_scenario_says_of_its_replay_replaces_what_stands_at_the_top(settings):
    settings["scenarios"]["chat"]["replay"] = {"capacity": [0.5]}
    assert config.replay_settings(settings, "chat")["replay"]["capacity"] == [0.5]
    assert config.replay_settings(settings, "fits")["replay"] == settings["replay"]


STAGES = {"workload", "record", "replay", "serve"}


@pytest.mark.parametrize(
    "change, stages",
    [
        (_set("scenarios", "chat", "workload", "duration_s", 1), {"workload"}),
        (_set("scenarios", "chat", "engine", "pool_blocks", 77), {"record", "serve"}),
        (_set("replay", "link_scale", [1.0]), {"replay"}),
        (_set("serve", []), {"serve"}),
        (_set("model", "tiny"), {"record", "replay", "serve"}),
        (_set("seed", 5), STAGES),
        (_set("report", "figures", ["anatomy"]), set()),
        (_set("scenarios", "rotation", None), set()),
    ],
)
def test_a_stage_sees_exactly_the_settings_it_depends_on(settings, change, stages):
    settings["report"]["trace_of"] = {}
    before = copy.deepcopy(settings)
    change(settings)
    config.check(settings)
    slices = {stage: getattr(config, f"{stage}_settings") for stage in STAGES}
    assert {stage for stage, of in slices.items() if of(before, "chat") != of(settings, "chat")} == stages


def test_a_workload_from_a_source_carries_its_entry_and_no_other(settings):
    entry = {"reader": "azure", "file": "a.csv", "url": "https://example.org/a", "sha256": "0" * 64, "licence": "CC0"}
    settings["sources"] = {"one": entry, "two": entry}
    settings["scenarios"]["chat"]["workload"] = {"source": "one"}
    config.check(settings)
    made = config.workload_settings(settings, "chat")
    assert made == {"scenario": "chat", "workload": {"source": "one"}, "sources": {"one": entry}}
