"""The report: figures by hand, and each verdict with a log that deserves it."""

import pandas as pd
import pytest

from pagedkv.cli import main
from pagedkv.geometry import geometry
from pagedkv.kv_events.event_log import EventLog, write_log
from pagedkv.kv_events.events import Batch, BlockStored
from pagedkv.kv_events.report import report, tables
from pagedkv.kv_events.report_text import CANNOT_BE_SAID, lines
from pagedkv.kv_events.verdict import MIN_SPAN_S, NOTHING, PAYS, UNKNOWN, verdict
from tests.engine.build import calibration
from tests.kv_events.logs import log, removed, stored

TINY = geometry("tiny")


def found(batches, missing=0, numbered=True, **costs):
    """The report of a log on the toy device: a block takes 1 ms on the link, a step of whatever size 1 ms."""
    return report(EventLog(tuple(batches), missing, numbered), calibration(**costs), TINY)


def in_turn(turns, every_s=10.0):
    """Two prefixes of 8 blocks, 1-8 and 11-18, drive each other out `turns` times."""
    one, other = range(1, 9), range(11, 19)
    steps = [[stored(*one)]]
    for turn in range(turns):
        out, into = (one, other) if turn % 2 == 0 else (other, one)
        steps.append([removed(*reversed(out)), stored(*into)])
    return log(*steps, every_s=every_s)


def test_figures_by_hand():
    """40 turns of 8 blocks; the first one stores the other prefix for the first time, so 39 come back after 10 s, when
    8 others were stored. A load takes 8 ms, a step that is saved 1 ms. The peak is 8 blocks."""
    figures = found(in_turn(40))
    assert (figures.came_back, figures.removed, figures.peak_blocks, figures.reloaded) == (39 * 8, 40 * 8, 8, 0)
    assert set(figures.away_s) == {10.0} and set(figures.others_stored) == {8}
    assert figures.runs.blocks.tolist() == [8] * 39 and set(figures.runs.depth) == {0}
    assert figures.runs.load_s == pytest.approx([8e-3] * 39)
    value = figures.whole.worth
    assert (value.loaded_blocks, value.stored_blocks) == (39 * 8, 16)
    assert (value.load_s, value.store_s, value.saved_s) == pytest.approx((39 * 8e-3, 16e-3, 39e-3))


def test_the_curve_by_hand():
    """A prefix leaves from its end on, while the other one comes back and reads. A tier of 8 blocks or less then has
    none of it: it is full of the one that left just now. 16 blocks hold both."""
    points = {(p.capacity_blocks, p.order): p.share for p in found(in_turn(40)).points}
    assert {size for size, _ in points} == {1, 2, 4, 8, 16, 32, 64, None}
    for order in ("lru", "fifo"):
        assert [points[size, order] for size in (1, 2, 4, 8)] == [0.0] * 4
        assert [points[size, order] for size in (16, 32, 64)] == [1.0] * 3
    assert points[None, "lru"] == 1.0


def test_depth_makes_a_saved_step_longer():
    """A link of 1 ms a block, memory of 25,600 bytes/s: 256 bytes a token are 10 ms. Of a prefix of 4 blocks the last
    two come back: the step reads 64 tokens of context, and also 180,224 bytes of weights."""
    steps = [stored(1, 2, 3, 4)], [removed(4), removed(3)], [stored(3, 4, after=2)]
    value = found(log(*steps), step_s=0.0, memory_bytes_per_s=25_600).whole.worth
    assert value.saved_s == pytest.approx(64 * 0.01 + TINY.weight_bytes / 25_600)


def test_blocks_of_one_batch_are_saved_as_one_step():
    steps = [stored(1), stored(2)], [removed(1, 2)], [stored(1), stored(2)]
    assert found(log(*steps)).whole.worth.saved_s == pytest.approx(1e-3)
    apart = [stored(1), stored(2)], [removed(1, 2)], [stored(1)], [stored(2)]
    assert found(log(*apart)).whole.worth.saved_s == pytest.approx(2e-3)


# ---------------------------------------------------------------- verdicts
def seldom():
    """Every block once, and the first four once more, of 404."""
    once = [[stored(n), removed(n)] for n in range(400)]
    return log(*once[:20], *([stored(n), removed(n)] for n in range(4)), *once[20:])


def test_offload_pays_at_most():
    """39 of the 41 times that 8 blocks were computed; 39 steps of 2 s saved, 39 loads of 8 ms."""
    judged = verdict(found(in_turn(40), step_s=2.0))
    assert judged.kind == PAYS
    assert judged.text == (
        "offload would pay at most 95.1% of the blocks computed, which had been there before (78.0 s of prefill saved "
        "for 0.3 s of loads, in 400 s of GPU time); 90% of that takes 16 blocks a GPU"
    )


def test_no_bound_is_called_one():
    assert "which is more than there was" in verdict(found(in_turn(40), step_s=20.0)).text


@pytest.mark.parametrize(
    "figures, cause",
    [
        (found(in_turn(40)), "loading takes longer than computing again (0.0 s of prefill saved for 0.3 s of loads"),
        (found(seldom(), step_s=0.1), "0.99% of the blocks computed had been there before"),
        (found(log(*([stored(n)] for n in range(400)))), "never had to remove"),
        (found(log(*([stored(n), removed(n)] for n in range(400)))), "no block came back"),
        (
            found(log([stored(1), stored(1, medium="CPU")], *([removed(1)], [stored(1)]) * 200)),
            "no block came back that the present tiers had not kept",
        ),
    ],
)
def test_nothing_to_gain(figures, cause):
    judged = verdict(figures)
    assert judged.kind == NOTHING and judged.text.startswith("nothing to gain: ") and cause in judged.text


def uneven():
    return log(*([stored(1, size=16), removed(1), stored(2, size=32), removed(2)] for _ in range(400)))


def grouped():
    steps = [BlockStored((1,), None, 16, group_idx=n) for n in (0, 1)]
    return log(*([*steps, removed(1)] for _ in range(400)))


@pytest.mark.parametrize(
    "figures, cause",
    [
        (found(in_turn(40), missing=1), "2.4% of the batches are missing, more than 1%"),
        (found(in_turn(40, every_s=1.0)), "the log is too short, 40.0 s of at least 300 s"),
        (found(log([stored(*range(9))], [removed(1)], every_s=400.0)), "a GPU removed only 0.11 times what it held"),
        (
            found(log([stored(1)], [removed(1)], [], [], [stored(1)], every_s=100.0)),
            "after up to 300.0 s of its 400.0 s",
        ),
        (found(log(*([stored(1)] for _ in range(400)))), "99.8% of the blocks stored were there before"),
        (found(uneven()), "blocks of 16, 32 tokens were stored, not of one size"),
        (found(grouped()), "2 groups of layers store blocks"),
    ],
)
def test_cannot_be_said(figures, cause):
    judged = verdict(figures)
    assert judged.kind == UNKNOWN and judged.text.startswith("cannot be said: ") and cause in judged.text


def test_the_shortest_log_can_be_set():
    assert verdict(found(in_turn(40, every_s=1.0), step_s=0.2), min_span_s=40.0).kind == PAYS
    assert MIN_SPAN_S > 40.0


# ---------------------------------------------------------------- text and tables
def test_the_text_names_all_that_cannot_be_said_and_ends_with_the_verdict():
    text = list(lines(found(in_turn(40), numbered=False)))
    assert text[0] == "41 batches from 1 rank in 400.0 s, without sequence numbers"
    for what, why in CANNOT_BE_SAID:
        assert f"  {what}: {why}" in text
    assert "  whether batches are missing: the log has no sequence numbers" in text
    assert text[-1].startswith("verdict: nothing to gain")
    assert all(len(line) <= 240 for line in text)


def test_a_model_that_was_not_measured_has_no_times(repository):
    from pagedkv.device.calibration import read_calibration

    costs = read_calibration(repository / "recorded/calibration/calibration.json")
    figures = report(EventLog(tuple(in_turn(40)), 0, True), costs, TINY)
    assert figures.points == () and figures.came_back == 39 * 8
    assert verdict(figures).text == ("cannot be said: the calibration was measured with llama-3-8b, not with tiny")
    assert any("bytes and times: the calibration was measured" in line for line in lines(figures))


def test_two_ranks_are_two_gpus():
    one = in_turn(40)
    other = [Batch(batch.ts, batch.events, 1, batch.seq) for batch in one]
    figures = found([*one, *other], step_s=2.0)
    assert (figures.ranks, figures.came_back) == (2, 2 * 39 * 8)
    assert "95.1% of the blocks" in verdict(figures).text and "in 800 s of GPU time" in verdict(figures).text


def test_tables_hold_the_figures():
    made = tables(found(in_turn(4)))
    assert set(made) == {"residency", "curve", "runs", "returns"}
    assert made["residency"]["removed"].tolist() == [0, 8, 16, 24, 32]
    assert made["curve"]["capacity_blocks"].tolist()[-1] == -1
    for columns in made.values():
        assert len({len(column) for column in columns.values()}) == 1


def test_an_empty_log_has_a_report():
    figures = found([Batch(0.0, (), 0, 0)])
    assert figures.peak_blocks == 0 and list(lines(figures))[-1].startswith("verdict: cannot be said")
    assert all(len(column) == 0 for columns in tables(figures).values() for column in columns.values())


def test_from_a_trace_to_a_verdict(tmp_path, at_root, capsys):
    made, out = tmp_path / "fits.jsonl", tmp_path / "report"
    assert main(["kv-events", "from-trace", "recorded/traces/fits.kvtrace", "--out", str(made)]) == 0
    assert main(["kv-events", "report", str(made), "--min-span-s", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("verdict: nothing to gain: the GPU never had to remove a block\n")
    assert printed.endswith((out / "report.txt").read_text())
    assert pd.read_parquet(out / "residency.parquet")["resident"].iloc[-1] > 0


def test_a_log_with_a_gap_is_refused_in_one_line(tmp_path, at_root, capsys):
    path = tmp_path / "log.jsonl"
    write_log([batch for batch in in_turn(4) if batch.seq != 2], path)
    assert main(["kv-events", "report", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"pagedkv: {path}: line 3: sequence 3 follows 1 on rank 0: 1 missing")
    assert main(["kv-events", "report", str(path), "--allow-gaps"]) == 0
    assert "1 missing" in capsys.readouterr().out
