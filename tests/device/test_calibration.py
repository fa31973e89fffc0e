"""Calibration files: one with round figures, the one that the repository ships, and files that are none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pagedkv.device.calibration import read_calibration, step_compute_s
from pagedkv.device.fit import fit_file
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.overhead import add_overhead
from pagedkv.geometry import geometry


@pytest.fixture
def roofline():
    """Figures of an H200 that were measured beforehand, compute as a roofline."""
    return Path(__file__).with_name("roofline.json")


def test_what_ships_is_what_was_measured_on_the_gpu(repository, tmp_path):
    folder = repository / "recorded" / "calibration"
    fit_file(folder / "raw.json", tmp_path / "calibration.json")
    # Not those of the scenarios that the simulator is held against.
    runs = [repository / f"recorded/traces/{name}.kvtrace" for name in ("fits", "chat", "code", "agent", "azure_conv")]
    add_overhead(tmp_path / "calibration.json", [*runs, folder / "turns.kvtrace"])
    shipped, again = read_calibration(folder / "calibration.json"), read_calibration(tmp_path / "calibration.json")
    # What the engine adds to a step is fitted to traces, on top of what the measurements say.
    assert replace(shipped.compute, engine=again.compute.engine) == again.compute
    assert (shipped.host_to_device, shipped.device_to_host) == (again.host_to_device, again.device_to_host)
    assert (shipped.contention, shipped.compute_slowdown) == (again.contention, again.compute_slowdown)
    assert "H200" in shipped.device and shipped.compute.model == "llama-3-8b"


def test_figures_are_read_as_they_are_written(roofline):
    """Issue and design: 55.3 GB/s, 8 us a submission, 1.35 us a piece of 2 MiB and 0.55 of 32 KiB."""
    read = read_calibration(roofline)
    for copy in (read.host_to_device, read.device_to_host):
        assert (copy.bytes_per_s, copy.submit_s) == (55.3e9, 8e-6)
        assert copy.piece_overhead_s(2 << 20) == 1.35e-6
        assert copy.piece_overhead_s(32 << 10) == 0.55e-6
    assert read.contention == pytest.approx(100.9 / 110.6)
    assert (read.name, read.status, read.device) == ("roofline", "for tests", "as an H200")


def test_a_block_of_an_8b_model_takes_39_us(roofline):
    """2 MiB at 55.3 GB/s are 37.92 us, and the piece costs 1.35."""
    read = read_calibration(roofline)
    assert read.host_to_device.each_s(geometry("llama-3-8b").block_bytes) == pytest.approx(39.27e-6, abs=0.01e-6)


def test_step_times_of_an_8b_model(roofline):
    """Decode of one request streams 15.0 GB of weights at 4.28 TB/s: 3.5 ms, however many requests share the step.
    Context adds 128 KiB a token: 64 requests of 2048 tokens read 17.2 GB more, 4.0 ms. A prefill of 2048 tokens is
    bound by arithmetic: 2 x 7.5e9 x 2048 / 6.75e14 = 45.5 ms."""
    cost, model = read_calibration(roofline).compute, geometry("llama-3-8b")
    assert step_compute_s(cost, model, 1, 0) == pytest.approx(3.507e-3, rel=1e-3)
    assert step_compute_s(cost, model, 64, 0) == step_compute_s(cost, model, 1, 0)
    read_s = step_compute_s(cost, model, 64, 64 * 2048) - step_compute_s(cost, model, 64, 0)
    assert read_s == pytest.approx(4.014e-3, rel=1e-3)
    assert step_compute_s(cost, model, 2048, 0) == pytest.approx(45.5e-3, rel=5e-3)


def test_attention_of_a_prefill_is_quadratic(roofline):
    """4 x layers x heads x head_dim operations a pair: 4 x 32 x 32 x 128 x 1e9 / 6.75e14 = 0.777 s for 1e9 pairs."""
    cost, model = read_calibration(roofline).compute, geometry("llama-3-8b")
    more = step_compute_s(cost, model, 1, 0, 1e9) - step_compute_s(cost, model, 1, 0)
    assert more == pytest.approx(0.7767, rel=1e-3)


def without(raw, key):
    return {k: v for k, v in raw.items() if k != key}


@pytest.mark.parametrize(
    "spoil, cause",
    [
        (lambda raw: without(raw, "compute"), "'compute'"),
        (lambda raw: without(raw, "host_to_device"), "'host_to_device'"),
        (lambda raw: {**raw, "host_to_device": without(raw["host_to_device"], "submit_s")}, "'submit_s'"),
        (lambda raw: {**raw, "compute": {"flops": 1}}, "flops"),
        (lambda raw: {**raw, "both_directions_bytes_per_s": "fast"}, "fast"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_cause(roofline, tmp_path, spoil, cause):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(spoil(json.loads(roofline.read_text()))))
    with pytest.raises(PagedKVError) as error:
        read_calibration(path)
    message = str(error.value)
    assert message.startswith(f"{path}: not a calibration: ") and cause in message and "\n" not in message


@pytest.mark.parametrize(
    "section, key, value, cause",
    [
        ("host_to_device", "bytes_per_s", "fast", "could not convert string to float: 'fast'"),
        ("host_to_device", "bytes_per_s", 0, "bytes_per_s is 0.0"),
        ("host_to_device", "bytes_per_s", float("nan"), "bytes_per_s is nan"),
        ("device_to_host", "submit_s", None, "NoneType"),
        ("device_to_host", "submit_s", -1.0, "submit_s is -1.0"),
        ("host_to_device", "piece_s", [], "piece_s is a list of (bytes, seconds) with growing bytes"),
        ("host_to_device", "piece_s", [[200, 0.1], [100, 0.2]], "piece_s is a list"),
        ("host_to_device", "piece_s", [[100, -0.1]], "piece_s is a list"),
        ("host_to_device", "piece_s", [[1, 2, 3]], "too many values"),
        ("compute", "flops_per_s", "many", "'many'"),
        ("compute", "memory_bytes_per_s", 0.0, "memory_bytes_per_s is 0.0"),
        ("compute", "step_overhead_s", -0.1, "step_overhead_s is -0.1"),
    ],
)
def test_a_value_that_costs_nothing_sensible_is_refused_when_it_is_read(roofline, tmp_path, section, key, value, cause):
    """It used to be refused, or to divide by zero, only when something was charged."""
    raw = json.loads(roofline.read_text())
    raw[section][key] = value
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(PagedKVError) as error:
        read_calibration(path)
    message = str(error.value)
    assert message.startswith(f"{path}: not a calibration: ") and cause in message and "\n" not in message


MEASURED = {
    "kind": "measured",
    "model": "tiny",
    "decode": {"host_s": 1e-4, "step_s": [[1, 1e-3], [4, 2e-3]], "context_s": [[1, 1e-7]], "fit": {}},
    "mixed": {"host_s": 2e-4, "step_s": [[16, 3e-3]], "context_s": [[16, 2e-7]], "pair_s": 1e-9, "fit": {}},
    "origin": "toy",
}


def written(tmp_path, roofline, **changes):
    """A file with the costs of the roofline but for the changes."""
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**json.loads(roofline.read_text()), **changes}))
    return path


def test_measured_costs_are_read_with_what_compute_loses_beside_a_copy(roofline, tmp_path):
    """3 requests take the bucket of 4: 0.1 + 2 ms, and 0.1 us a token of context; a chunk takes 0.2 + 3 ms and more."""
    read = read_calibration(written(tmp_path, roofline, compute=MEASURED, compute_slowdown=1.04))
    tiny = geometry("tiny")
    assert step_compute_s(read.compute, tiny, 3, 1000) == pytest.approx(2.2e-3)
    assert step_compute_s(read.compute, tiny, 8, 1000, 2000) == pytest.approx(3.2e-3 + 0.2e-3 + 0.002e-3)
    assert read.compute_slowdown == 1.04
    assert read_calibration(roofline).compute_slowdown == 1.0
    compute = {**json.loads(roofline.read_text())["compute"], "kind": "roofline"}
    assert read_calibration(written(tmp_path, roofline, compute=compute)) == read_calibration(roofline)


@pytest.mark.parametrize(
    "path, key, value, cause",
    [
        ("decode", "host_s", -1, "host_s is -1.0"),
        ("decode", "step_s", [], "step_s is a list of (tokens, seconds) with growing tokens"),
        ("decode", "step_s", [[4, 1.0], [1, 2.0]], "step_s is a list"),
        ("decode", "context_s", [[1, -1e-9]], "context_s is a list"),
        ("mixed", "step_s", [[0, 1.0]], "step_s is a list"),
        ("mixed", "step_s", [[float("inf"), 1.0]], "infinity"),
        ("mixed", "pair_s", float("nan"), "pair_s is nan"),
        ("mixed", "context_s", None, "NoneType"),
    ],
)
def test_a_measured_value_that_costs_nothing_sensible_is_refused(roofline, tmp_path, path, key, value, cause):
    compute = {**MEASURED, path: {**MEASURED[path], key: value}}
    with pytest.raises(PagedKVError) as error:
        read_calibration(written(tmp_path, roofline, compute=compute))
    message = str(error.value)
    assert "c.json: not a calibration: " in message and cause in message and "\n" not in message


@pytest.mark.parametrize(
    "changes, cause",
    [
        ({"compute": {**MEASURED, "kind": "guessed"}}, "compute of kind 'guessed' is unknown"),
        ({"compute": without(MEASURED, "mixed")}, "'mixed'"),
        ({"compute": without(MEASURED, "model")}, "'model'"),
        ({"compute": "fast"}, "'str' object has no attribute"),
        ({"compute_slowdown": 0.5}, "compute_slowdown is 0.5"),
        ({"compute_slowdown": "much"}, "'much'"),
    ],
)
def test_a_broken_measured_calibration_is_named_with_its_cause(roofline, tmp_path, changes, cause):
    with pytest.raises(PagedKVError) as error:
        read_calibration(written(tmp_path, roofline, **changes))
    message = str(error.value)
    assert "c.json: not a calibration: " in message and cause in message and "\n" not in message


@pytest.mark.parametrize("text", ["", "[]", "null", "3", '"text"'])
def test_json_of_another_kind(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(PagedKVError, match=f"^{path}: not a calibration: "):
        read_calibration(path)


@pytest.mark.parametrize("together, share", [(0.8, 0.8), (1.0, 1.0), (1.2, 1.0), (0.5, 0.5)])
def test_contention_is_the_share_of_the_rate_that_remains(roofline, tmp_path, together, share):
    """Noise that makes both directions faster together than alone is no speed-up."""
    raw = json.loads(roofline.read_text())
    rates = [raw[direction]["bytes_per_s"] for direction in ("host_to_device", "device_to_host")]
    (tmp_path / "c.json").write_text(json.dumps({**raw, "both_directions_bytes_per_s": together * sum(rates)}))
    assert read_calibration(tmp_path / "c.json").contention == pytest.approx(share)


def test_no_json_and_no_file(tmp_path):
    path = tmp_path / "c.json"
    with pytest.raises(PagedKVError, match=f"{path}: cannot be read: No such file"):
        read_calibration(path)
    path.write_text("{")
    with pytest.raises(PagedKVError, match=f"{path}: not a calibration"):
        read_calibration(path)
