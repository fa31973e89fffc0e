"""config.yaml: what is refused and with which words, how files lie over each other, and what a stage gets to see."""

import copy
from dataclasses import asdict

import pytest
import yaml

from pagedkv import config, trace
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.geometry import geometry
from pagedkv.trace.recorder import Recorder
from pagedkv.workload import build


@pytest.fixture(autouse=True)
def _at_the_root(repository, monkeypatch):
    monkeypatch.chdir(repository)


@pytest.fixture
def settings(repository):
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.mark.parametrize("extra", [[], ["config/smoke.yaml"], ["config/real.yaml"]])
def test_the_shipped_configurations_are_valid(extra):
    assert config.load(["config.yaml", *extra])


@pytest.fixture
def gpu(monkeypatch):
    """Sets the GPU memory that this machine seems to have, in GiB."""

    def give(gib):
        monkeypatch.setattr(config, "gpu_memory_bytes", lambda: gib * 2**30)

    give(0)
    return give


@pytest.fixture
def shipped(settings, tmp_path, monkeypatch):
    """A folder of shipped traces that holds the one of `fits`."""
    monkeypatch.setattr(config.shipped, "path_of", lambda name: tmp_path / f"{name}.kvtrace")
    table = build(config.workload_settings(settings, "fits")["workload"], tmp_path)
    header = {
        "model": asdict(geometry(settings["model"])),
        "engine": asdict(EngineSettings.from_config(settings["scenarios"]["fits"]["engine"])),
        "workload_sha256": table.digest,
    }
    trace.write(Recorder().finish(header), tmp_path / "fits.kvtrace")
    return tmp_path


@pytest.fixture
def large(settings):
    """`chat` with a pool of 98 GiB."""
    settings["scenarios"]["chat"]["engine"]["pool_blocks"] = 50_000


def sources(settings):
    return {name: config.trace_source(settings, name) for name in ("fits", "chat")}


def test_auto_takes_a_gpu_then_what_is_shipped_then_simulates(settings, gpu, shipped, large):
    assert sources(settings) == {"fits": "recorded", "chat": "simulated"}
    gpu(140)
    assert sources(settings) == {"fits": "cuda", "chat": "cuda"}
    gpu(79)
    assert sources(settings) == {"fits": "cuda", "chat": "simulated"}


def test_simulated_is_simulated_whatever_there_is(settings, gpu, shipped):
    gpu(140)
    settings["traces"] = "simulated"
    assert sources(settings) == {"fits": "simulated", "chat": "simulated"}


def test_to_record_without_enough_gpu_is_one_line(settings, gpu, shipped, large):
    settings["traces"] = "record"
    with pytest.raises(PagedKVError, match=r"^config: traces: 'record' needs a CUDA device, and there is none here"):
        config.trace_source(settings, "fits")
    gpu(79)
    assert config.trace_source(settings, "fits") == "cuda"
    with pytest.raises(PagedKVError, match="'record' needs 117 GiB of GPU memory for scenario 'chat', and here"):
        config.trace_source(settings, "chat")


def test_recorded_insists_on_a_shipped_trace(settings, gpu, shipped):
    gpu(140)
    settings["traces"] = "recorded"
    assert config.trace_source(settings, "fits") == "recorded"
    with pytest.raises(PagedKVError, match=r"^config: traces: 'recorded', but there is no trace of scenario 'chat'"):
        config.trace_source(settings, "chat")


@pytest.mark.parametrize(
    "change, difference",
    [
        (lambda c: c.update(model="tiny"), "another model than tiny"),
        (lambda c: c.update(seed=2), "other requests"),
        (lambda c: c["scenarios"]["fits"]["engine"].update(pool_blocks=77), "engine.pool_blocks 8000 instead of 77"),
        (lambda c: c["scenarios"]["fits"].update(workload={"generator": "code"}), "other requests"),
        (lambda c: c["scenarios"]["fits"].update(workload={"source": "azure-code"}), "other requests"),
    ],
)
def test_a_shipped_trace_of_other_settings_is_not_taken(settings, gpu, shipped, change, difference):
    change(settings)
    assert config.trace_source(settings, "fits") == "simulated"
    settings["traces"] = "recorded"
    with pytest.raises(PagedKVError, match=rf"does not fit scenario 'fits': it has {difference}"):
        config.trace_source(settings, "fits")


def test_a_trace_from_before_a_setting_existed_was_recorded_with_its_default(settings, gpu, shipped):
    recorded = trace.read(shipped / "fits.kvtrace")
    del recorded.header["engine"]["reserve_full_prompt"]
    trace.write(recorded, shipped / "fits.kvtrace")
    assert config.trace_source(settings, "fits") == "recorded"


def test_a_broken_shipped_trace_is_said_and_not_passed_over(settings, gpu, shipped):
    (shipped / "fits.kvtrace").write_bytes(b"broken")
    with pytest.raises(PagedKVError, match="fits.kvtrace: truncated or not a trace"):
        config.trace_source(settings, "fits")


def test_the_device_of_a_recording_is_the_one_that_the_source_means(settings, gpu, shipped):
    assert config.record_settings(settings, "fits")["device"] == "simulated"
    gpu(140)
    assert config.record_settings(settings, "fits")["device"] == "cuda"


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
        (_set("traces", "maybe"), "config: traces: 'maybe' is not one of ['auto', 'record', 'recorded', 'simulated']"),
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
        (_set("fidelity", "scenarios", ["x"]), "config: fidelity.scenarios: there is no scenario 'x'"),
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


def test_a_later_file_changes_single_keys_replaces_lists_and_leaves_scenarios_out(settings, tmp_path):
    own = {"scenarios": {"chat": {"workload": {"duration_s": 7}}, "fits": None}, "replay": {"demand": ["D-step"]}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(own))
    merged = config.load(["config.yaml", path])
    assert merged["scenarios"]["chat"]["workload"] == settings["scenarios"]["chat"]["workload"] | {"duration_s": 7}
    assert merged["replay"]["demand"] == ["D-step"]
    assert "fits" not in config.scenarios(merged)
    with pytest.raises(PagedKVError, match="no scenario 'fits'"):
        config.replay_settings(merged, "fits")


def test_what_a_scenario_says_of_its_replay_replaces_what_stands_at_the_top(settings):
    settings["scenarios"]["chat"]["replay"] = {"capacity": [0.5]}
    assert config.replay_settings(settings, "chat")["replay"]["capacity"] == [0.5]
    assert config.replay_settings(settings, "fits")["replay"] == settings["replay"]


STAGES = {"workload", "record", "replay", "serve", "measure"}


@pytest.mark.parametrize(
    "change, stages",
    [
        (_set("scenarios", "code", "workload", "duration_s", 1), {"workload"}),
        (_set("scenarios", "code", "engine", "pool_blocks", 77), {"record", "serve", "measure"}),
        (_set("replay", "link_scale", [1.0]), {"replay"}),
        (_set("serve", []), {"serve"}),
        (_set("model", "tiny"), {"record", "replay", "serve", "measure"}),
        (_set("fidelity", "steps", 7), {"measure"}),
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
    assert {stage for stage, of in slices.items() if of(before, "code") != of(settings, "code")} == stages


def test_a_policy_of_the_replay_joins_the_leaderboard_by_itself(settings):
    entry = {"prefetch": "queue_head", "params": {"requests": 2}}
    settings["replay"]["policies"].append(entry)
    before, after = (config.leaderboard_settings(each, "chat") for each in (config.load(["config.yaml"]), settings))
    assert after["leaderboard"]["policies"] == [*before["leaderboard"]["policies"], entry]


def test_a_workload_from_a_source_carries_its_entry_and_no_other(settings):
    entry = {"reader": "azure", "file": "a.csv", "url": "https://example.org/a", "sha256": "0" * 64, "licence": "CC0"}
    settings["sources"] = {"one": entry, "two": entry}
    settings["scenarios"]["chat"]["workload"] = {"source": "one"}
    config.check(settings)
    made = config.workload_settings(settings, "chat")
    assert made == {"scenario": "chat", "workload": {"source": "one"}, "sources": {"one": entry}}
