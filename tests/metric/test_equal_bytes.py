"""The search for a control's size."""

from pagedkv.metric.equal_bytes import blocks_for


def test_a_linear_control_is_found_at_once():
    tried = []

    def issued(blocks):
        tried.append(blocks)
        return 10 * blocks

    assert blocks_for(issued, 370) == 37
    assert tried == [1, 37]


def test_a_control_that_saturates_comes_as_close_as_it_can():
    assert 50 <= blocks_for(lambda blocks: min(500, 10 * blocks), 1000) <= 100


def test_a_control_that_issues_nothing_stays_at_one_block():
    assert blocks_for(lambda blocks: 0, 1000) == 1
