"""The plan of measurements: disjoint sets, sizes as the engine counts them, and no longer than it should take."""

from pathlib import Path

from pagedkv.device.calibration import read_calibration, step_compute_s
from pagedkv.device.points import CHECK, FIT, StepPoint, copy_points, graph_batches, step_points, tiny_step_points
from pagedkv.geometry import geometry

BIG = geometry("llama-3-8b")
H200_TOKENS = 900_000


def test_a_point_counts_as_the_engine_does():
    """A chunk of 4 tokens behind 10 attends to 11 + 12 + 13 + 14 tokens; a decode row has no pairs of its own."""
    point = StepPoint("mixed", ((1, 99), (4, 10)), FIT)
    assert (point.batch, point.tokens, point.context_tokens, point.attention_pairs) == (2, 5, 114, 50.0)


def test_graph_batches():
    assert graph_batches(64) == [1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64]
    assert graph_batches(3) == [1, 2, 4]
    assert graph_batches(9) == [1, 2, 4, 8, 16]
    assert graph_batches(1) == [1]


def test_what_is_checked_was_never_fitted():
    for points in (step_points(H200_TOKENS), tiny_step_points()):
        assert len(set(points)) == len(points)
        fitted, checked = (
            {(p.kind, p.batch, p.tokens, p.context_tokens) for p in points if p.split == s} for s in (FIT, CHECK)
        )
        assert fitted and checked and not fitted & checked
        assert {kind for kind, *_ in fitted} == {kind for kind, *_ in checked} == {"decode", "prefill", "mixed"}
        decoding = [{p.batch for p in points if (p.kind, p.split) == ("decode", split)} for split in (FIT, CHECK)]
        assert not decoding[0] & decoding[1]


def test_points_fit_the_pool_and_their_limits():
    for points, pool, batch, tokens, context in (
        (step_points(200_000), 200_000, 64, 2048, 16384),
        (tiny_step_points(), 4096, 8, 128, 512),
    ):
        for point in points:
            assert point.context_tokens <= pool and point.batch <= batch and point.tokens <= tokens
            assert all(scheduled + computed <= context and computed >= 0 for scheduled, computed in point.requests)
            assert (point.attention_pairs == 0) == (point.kind == "decode")


def test_the_plan_of_an_h200_takes_a_minute():
    """10 repeats and 3 to warm up; a real step takes up to 1.5 of the roofline, an eager one never below 16 ms."""
    cost = read_calibration(Path(__file__).with_name("roofline.json")).compute

    def seconds(p):
        roofline = step_compute_s(cost, BIG, p.tokens, p.context_tokens, p.attention_pairs)
        return max(1.5 * roofline, 0.016 if p.attention_pairs else 0.0)

    assert 20 < 13 * sum(seconds(p) for p in step_points(H200_TOKENS)) < 60


def test_copies_cover_sizes_counts_and_directions():
    points = copy_points(BIG.block_bytes, BIG.piece_bytes)
    assert len(set(points)) == len(points)
    alone = [p for p in points if p.concurrent == "none" and p.method == "batch"]
    for direction in ("h2d", "d2h", "both"):
        sizes = {p.piece_bytes for p in alone if p.direction == direction}
        assert {BIG.block_bytes, BIG.piece_bytes, 8 << 10, 4 << 20} <= sizes
    assert {p.pieces for p in alone} >= {1, 4096}
    assert {p.concurrent for p in points} == {"none", "matmul", "stream", "decode"}
    assert max(p.piece_bytes * p.pieces for p in points) <= 256 << 20
