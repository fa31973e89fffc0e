"""Constants that are known come back from measurements made of them, with intervals that hold them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pagedkv.device import fit_copies
from pagedkv.device.calibration import read_calibration
from pagedkv.device.fit import fit, fit_file, relative_error
from pagedkv.device.raw import raw_from, read_raw
from pagedkv.device.regression import fit_costs, hats, interval
from pagedkv.errors import PagedKVError
from tests.device import synthetic


@pytest.fixture(scope="module")
def exact():
    return fit(raw_from(synthetic.raw(0.0, repeats=1)), replicates=20)


@pytest.fixture(scope="module")
def noisy():
    return fit(raw_from(synthetic.raw(0.02)), replicates=100)


def truths(path, fitted):
    """(true, fitted) of every value of a path's tables."""
    for key in ("step_s", "context_s"):
        table = getattr(path, key)
        yield from ((table.at(point["at"]), point) for point in fitted["fit"][key])


def constants(made):
    """(true, fitted with interval) of every constant of a calibration of synthetic measurements."""
    for section in ("host_to_device", "device_to_host"):
        found = made[section]["fit"]
        yield synthetic.COPY.bytes_per_s, found["bytes_per_s"]
        yield synthetic.COPY.submit_s, found["submit_s"]
        yield from ((synthetic.COPY.piece_overhead_s(point["at"]), point) for point in found["piece_s"])
    yield 2 * synthetic.CONTENTION * synthetic.COPY.bytes_per_s, made["both_directions_fit"]
    yield synthetic.SLOWDOWN, made["slowdown_fit"]
    compute = made["compute"]
    for path, fitted in ((synthetic.COST.decode, compute["decode"]), (synthetic.COST.mixed, compute["mixed"])):
        yield path.host_s, fitted["fit"]["host_s"]
        yield from truths(path, fitted)
    yield synthetic.COST.mixed.pair_s, compute["mixed"]["fit"]["pair_s"]


def test_without_noise_every_constant_comes_back(exact):
    found = list(constants(exact))
    assert len(found) > 40
    for truth, constant in found:
        assert constant["value"] == pytest.approx(truth, rel=1e-4)
        assert constant["low"] == pytest.approx(constant["high"], rel=1e-4)
    assert exact["errors"]["check"]["all"]["worst"] < 1e-4


def test_with_noise_the_intervals_hold_the_constants(noisy):
    """95 % intervals of some fifty constants: a few may miss, but not many; and they say something."""
    found = list(constants(noisy))
    held = [constant["low"] * (1 - 1e-5) <= truth <= constant["high"] * (1 + 1e-5) for truth, constant in found]
    assert np.mean(held) >= 0.85
    step = noisy["compute"]["mixed"]["fit"]["step_s"]
    assert all(point["high"] / point["low"] < 1.1 for point in step)
    assert all(point["high"] > point["low"] for point in step)


def test_intervals_cover_as_often_as_they_say():
    """A line through 12 noisy points, 200 times: 95 % intervals that held the truth in 70 % would be no intervals."""
    x = np.linspace(1, 4, 12)
    columns, held = np.column_stack([np.ones(12), x]), []
    for seed in range(200):
        noise = 0.05 * np.random.default_rng(seed).standard_normal(12)
        made = fit_costs(columns, (2 + 3 * x) * (1 + noise), np.zeros(12), replicates=200)
        for k, truth in enumerate((2, 3)):
            found = interval(made.costs[k], made.samples[:, k])
            held.append(found["low"] <= truth <= found["high"])
    assert 0.88 <= np.mean(held) <= 0.995


def test_outliers_do_not_carry_the_fit():
    """Three of forty copies took three times as long (another process): the line stays where the others are."""
    x = np.linspace(1, 9, 40)
    seconds = (1 + 2 * x) * (1 + 0.01 * np.random.default_rng(3).standard_normal(40))
    seconds[[5, 20, 38]] *= 3
    made = fit_costs(np.column_stack([np.ones(40), x]), seconds, np.zeros(40), replicates=10)
    assert made.costs == pytest.approx([1, 2], rel=0.03)


def test_costs_are_never_negative():
    """A table that falls by noise below nothing would pay for steps."""
    x = np.array([1.0, 2.0, 3.0])
    made = fit_costs(np.column_stack([np.ones(3), x]), np.array([1.0, 2.4, 3.8]), np.zeros(3), replicates=50)
    assert made.costs[0] == 0 and (made.samples >= 0).all()


def test_hats_share_a_value_between_its_knots():
    shares = hats(np.array([1.0, 3.0]), np.array([0, 1, 2, 3, 9]))
    np.testing.assert_allclose(shares.T, [[1, 1, 0.5, 0, 0], [0, 0, 0.5, 1, 1]])


def test_checked_points_change_no_constant(noisy):
    """Bug class: a validation set that leaks into the fit."""
    found = synthetic.raw(0.02)
    for row in found["steps"]:
        if row["split"] == "check":
            row["total_s"] *= 1.5
    made = fit(raw_from(found), replicates=100)
    assert made["compute"] == noisy["compute"]
    assert made["errors"]["fit"] == noisy["errors"]["fit"]
    assert made["errors"]["check"]["all"]["mean"] == pytest.approx(-1 / 3, abs=0.01)


def test_errors_are_signed_worst_and_mean_by_kind(exact):
    """Checked steps measured 2 % longer, one of them 10 %: predictions are 1.96 % short on average, 9.1 % at worst."""
    found = synthetic.raw(0.0, repeats=1)
    checked = [row for row in found["steps"] if row["split"] == "check" and row["kind"] == "prefill"]
    for row in checked:
        row["total_s"] *= 1.02
    checked[0]["total_s"] *= 1.1 / 1.02
    errors = fit(raw_from(found), replicates=5)["errors"]["check"]
    assert errors["prefill"]["points"] == len(checked)
    assert errors["prefill"]["worst"] == pytest.approx(1 - 1 / 1.1, rel=1e-3)
    expected = ((len(checked) - 1) * (1 - 1 / 1.02) + (1 - 1 / 1.1)) / len(checked)
    assert errors["prefill"]["mape"] == pytest.approx(expected, rel=1e-3)
    assert errors["prefill"]["mean"] == pytest.approx(-expected, rel=1e-3)
    assert errors["decode"] == pytest.approx(exact["errors"]["check"]["decode"], abs=1e-6)


def test_the_file_is_a_calibration_that_predicts_every_step(tmp_path):
    source, out = tmp_path / "raw.json", tmp_path / "h200.json"
    source.write_text(json.dumps(synthetic.raw(0.0, repeats=1)))
    made = fit_file(source, out)
    assert json.loads(out.read_text()) == made
    read = read_calibration(out)
    assert read.name == "h200" and "raw.json, sha256 " in read.status and read.device == "made up"
    assert read.contention == pytest.approx(synthetic.CONTENTION, rel=1e-4)
    assert read.compute_slowdown == pytest.approx(synthetic.SLOWDOWN)
    assert max(abs(relative_error(step, read.compute)) for step in read_raw(source).steps) < 1e-4


def without(raw, **unwanted):
    """The same without the copies that have these values."""
    kept = [c for c in raw["copies"] if any(c[key] != value for key, value in unwanted.items())]
    return {**raw, "copies": kept}


def test_what_is_not_measured_is_taken_over_or_left_out():
    raw = synthetic.raw(0.0, repeats=1)
    made = fit(raw_from(without(raw, direction="d2h")), replicates=5)
    assert made["device_to_host"]["bytes_per_s"] == made["host_to_device"]["bytes_per_s"]
    assert made["device_to_host"]["origin"].startswith("not measured")
    made = fit(raw_from(without(raw, direction="both")), replicates=5)
    assert made["both_directions_bytes_per_s"] == pytest.approx(2 * synthetic.COPY.bytes_per_s, rel=1e-4)
    assert "not measured" in made["both_directions_origin"]
    alone = [c for c in raw["copies"] if c["concurrent"] == "none" and c["method"] == "batch"]
    made = fit(raw_from({**raw, "copies": alone}), replicates=5)
    assert "compute_slowdown" not in made


def test_a_rate_needs_no_large_copies():
    """Without them the two largest sizes share their piece cost: 1.3 us of 2 MiB and of 4 MiB, as they do."""
    raw = without(synthetic.raw(0.0, repeats=1), method="single")
    made = fit_copies.fit_copies(raw_from(raw).copies, 5)
    assert made["host_to_device"]["bytes_per_s"] == pytest.approx(synthetic.COPY.bytes_per_s, rel=1e-4)
    assert [size for size, _ in made["host_to_device"]["piece_s"]] == [8192, 65536, 524288, 2 << 20]
    one_size = [c for c in raw_from(raw).copies if c.piece_bytes == 2 << 20]
    made = fit_copies.fit_copies(one_size, 5)["host_to_device"]
    assert made["piece_s"][0] == [2 << 20, 0.0], "nothing tells its piece from its bytes"
    assert made["bytes_per_s"] == pytest.approx((2 << 20) / synthetic.COPY.each_s(2 << 20), rel=1e-4)


def test_a_slowdown_below_one_is_noise():
    raw = raw_from(synthetic.raw(0.0, repeats=1))
    copies = [replace(c, compute_slowdown=0.98) if c.concurrent == "decode" else c for c in raw.copies]
    assert fit_copies.fit_copies(copies, 5)["compute_slowdown"] == 1.0


def test_one_context_a_batch_still_gives_a_table():
    """A batch that was measured at one context takes its slope from the others."""
    raw = synthetic.raw(0.0, repeats=1)
    rows = [r for r in raw["steps"] if r["batch"] != 32 or r["kind"] != "decode" or r["context_tokens"] == 32 * 2048]
    made = fit(raw_from({**raw, "steps": rows}), replicates=5)["compute"]["decode"]
    assert 32 not in dict(made["context_s"])
    assert dict(made["step_s"])[32] == pytest.approx(synthetic.COST.decode.step_s.at(32), rel=1e-3)


@pytest.mark.parametrize(
    "spoil, cause",
    [
        (lambda raw: {**raw, "provenance": {}}, "provenance.model"),
        (lambda raw: {**raw, "provenance": {"model": "gpt-9"}}, "model 'gpt-9' is unknown"),
        (lambda raw: {**raw, "provenance": None}, "'provenance' is missing"),
        (lambda raw: {**raw, "copies": []}, "no copy of direction h2d"),
        (lambda raw: {**raw, "steps": []}, "no step that only decodes"),
        (lambda raw: {**raw, "steps": [s for s in raw["steps"] if s["kind"] == "decode"]}, "with a prefill chunk"),
        (lambda raw: {**raw, "steps": [{**raw["steps"][0], "total_s": 0}]}, "steps[0]: total_s is 0.0"),
        (lambda raw: {**raw, "steps": [{**raw["steps"][0], "split": "test"}]}, "steps[0]: split is 'test'"),
        (lambda raw: {**raw, "steps": [{**raw["steps"][0], "tokens": None}]}, "steps[0]: int() argument"),
        (lambda raw: {**raw, "copies": [{**raw["copies"][0], "pieces": 0}]}, "copies[0]: pieces is 0"),
        (lambda raw: {**raw, "copies": [{**raw["copies"][0], "direction": "up"}]}, "copies[0]: direction is 'up'"),
        (
            lambda raw: {**raw, "copies": [{**raw["copies"][0], "compute_slowdown": float("nan")}]},
            "copies[0]: compute_slowdown is nan",
        ),
        (lambda raw: {**raw, "copies": [{"method": "batch"}]}, "copies[0]: 'direction'"),
    ],
)
def test_measurements_that_do_not_suffice_are_told_in_one_line(tmp_path, spoil, cause):
    path = tmp_path / "raw.json"
    path.write_text(json.dumps(spoil(synthetic.raw(0.0, repeats=1))))
    with pytest.raises(PagedKVError) as error:
        fit_file(path, tmp_path / "out.json")
    message = str(error.value)
    assert message.startswith(f"{path}: ") and cause in message and "\n" not in message
    assert not (tmp_path / "out.json").exists()


def test_no_json_and_no_file(tmp_path):
    with pytest.raises(PagedKVError, match="cannot be read: No such file"):
        read_raw(tmp_path / "raw.json")
    (tmp_path / "raw.json").write_text("{")
    with pytest.raises(PagedKVError, match="no measurements: "):
        read_raw(tmp_path / "raw.json")


def test_without_gpu_times_the_host_time_is_what_the_runner_says():
    raw = synthetic.raw(0.0, repeats=1)
    for row in raw["steps"]:
        row["gpu_s"] = None
    made = fit(raw_from(raw), replicates=5)["compute"]
    assert made["decode"]["host_s"] == pytest.approx(synthetic.COST.decode.host_s)
