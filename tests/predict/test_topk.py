"""The positive control: a selection that the schedule does not tell."""

import numpy as np

from pagedkv.predict.ladder import membership_bits
from pagedkv.predict.topk import TopK

SMALL = TopK(requests=3, blocks=40, selected=6, steps=30)


def test_each_step_selects_as_many_and_keeps_about_the_share():
    rows = list(SMALL.selections())
    assert len(rows) == 3 * 30 and all(selected.sum() == 6 for selected, _ in rows)
    kept = [float((now & before).sum()) / 6 for now, before in rows if before.any()]
    assert 0.55 < np.mean(kept) < 0.75  # popular blocks may be drawn again


def test_equal_seeds_select_equally_and_others_do_not():
    first, again = list(SMALL.selections()), list(SMALL.selections())
    assert all((a == b).all() for (a, _), (b, _) in zip(first, again, strict=True))
    other = TopK(**{**vars(SMALL), "seed": 2}).selections()
    assert any((a != b).any() for (a, _), (b, _) in zip(first, other, strict=True))


def test_the_schedule_tells_the_pages_of_dense_attention_and_not_those_of_topk():
    everything = [(np.ones(40, bool), np.ones(40, bool))] * 90
    assert membership_bits(everything) / (40 * 90) < 0.01
    rows = list(SMALL.selections())
    assert membership_bits(rows) / (6 * 90) > 1.0
