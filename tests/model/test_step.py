"""Rows of a step, worked out by hand."""

from pagedkv.model.step import Rows


def test_a_mixed_step():
    """A decode at position 33 of its third block, and tokens 14 to 17 of a prompt across a block boundary."""
    rows = Rows.of([1, 4], [34, 18], [[5, 9, 2], [7, 4]])
    assert rows.query_start.tolist() == [0, 1, 5]
    assert rows.context.tolist() == [34, 18]
    assert rows.tables.tolist() == [[5, 9, 2], [7, 4, 0]]
    assert rows.positions.tolist() == [33, 14, 15, 16, 17]
    assert rows.slots.tolist() == [2, 7, 7, 4, 4]
    assert rows.offsets.tolist() == [1, 14, 15, 0, 1]
    assert (rows.decode_only, rows.max_query) == (False, 4)
    assert {str(tensor.dtype) for tensor in vars(rows).values() if hasattr(tensor, "dtype")} == {"torch.int32"}


def test_a_step_of_decodes():
    assert Rows.of([1, 1], [1, 17], [[3], [1, 2]]).decode_only
