"""Rows of measured copies: those that were asked for, with times that can be."""

import numpy as np
import pytest
import torch

from pagedkv.device import measure
from pagedkv.device.measure import copy_rates
from pagedkv.device.points import CopyPoint, copy_points
from pagedkv.device.raw import raw_from
from tests.device.where import WHERE

KIB = 1 << 10


@pytest.mark.parametrize("where", WHERE)
def test_every_point_becomes_a_row_that_a_fit_can_read(where):
    points = [
        CopyPoint(direction, method, 8 * KIB, pieces, concurrent)
        for direction in ("h2d", "d2h", "both")
        for method in ("batch", "single")
        for pieces, concurrent in ((1, "none"), (16, "none"), (16, "matmul"), (4, "stream"))
    ]
    rows = copy_rates(where, points, repeats=3)
    keys = ("direction", "method", "piece_bytes", "pieces", "concurrent")
    assert [[row[key] for key in keys] for row in rows] == [[getattr(point, key) for key in keys] for point in points]
    for row in rows:
        assert 0 < row["p10"] <= row["seconds"] <= row["p90"]
        moved = row["piece_bytes"] * row["pieces"] * (2 if row["direction"] == "both" else 1)
        assert row["gb_s"] == pytest.approx(moved / row["seconds"] / 1e9)
        assert (row["compute_slowdown"] is None) == (row["concurrent"] == "none")
    assert len(raw_from({"provenance": {}, "copies": rows}).copies) == len(points)


def test_compute_of_the_caller_runs_and_unknown_compute_is_left_out():
    ran = []
    points = [CopyPoint("h2d", "batch", KIB, 2, "decode"), CopyPoint("h2d", "batch", KIB, 2, "training")]
    (row,) = copy_rates("cpu", points, beside={"decode": lambda: ran.append(1)})
    assert row["concurrent"] == "decode" and row["compute_slowdown"] > 0 and ran
    assert copy_rates("cpu", points) == []


def test_a_cpu_measures_what_proves_the_path():
    """Of the whole plan: no kernels that copy, nothing above 1 MiB; so that it takes a second."""
    heard = []
    rows = copy_rates("cpu", copy_points(2 << 20, 64 << 10), heard.append, repeats=1)
    assert len(heard) == len(rows) > 10
    assert {row["method"] for row in rows} == {"batch"}
    assert max(row["piece_bytes"] * row["pieces"] for row in rows) <= measure.CPU_BYTES


@pytest.mark.parametrize("direction", ["h2d", "d2h", "both"])
@pytest.mark.parametrize("pieces", [1, 12])
def test_a_copy_moves_the_pieces_of_its_point_and_two_directions_share_none(direction, pieces):
    point = CopyPoint(direction, "batch", 64, pieces)
    size = measure._rows_of_pool(point) * point.piece_bytes
    gpu, host = torch.full((size,), 1, dtype=torch.uint8), torch.full((size,), 2, dtype=torch.uint8)
    copies = [submit(()) for submit in measure._submits(point, gpu, host)]
    assert [copy.pieces for copy in copies] == [pieces] * len(measure._ways(point))
    arrived = {"h2d": np.count_nonzero(gpu == 2), "d2h": np.count_nonzero(host == 1)}
    ways = measure._ways(point)
    assert arrived == {way: pieces * 64 if way in ways else 0 for way in ("h2d", "d2h")}


@pytest.mark.gpu
def test_large_copies_beside_compute_keep_their_rate():
    """A gross check of the method, not of the card: nothing is timed that the gate holds back."""
    alone, beside = copy_rates(
        "cuda", [CopyPoint("h2d", "batch", 2 << 20, 64, concurrent) for concurrent in ("none", "matmul")]
    )
    assert beside["seconds"] < 2 * alone["seconds"]
    assert 0.9 < beside["compute_slowdown"] < 1.5
