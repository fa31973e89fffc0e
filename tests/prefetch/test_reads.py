"""What a policy of level I2 is told to have been read, and when."""

from hypothesis import given
from hypothesis import strategies as st

from pagedkv.prefetch._reads import ReadCursor
from tests.prefetch.views import read, seen

STEP = [(7, 0, 4), (8, 10, 3), (7, 20, 2)]


def test_without_a_fault_everything_was_read():
    assert ReadCursor().new(read(*STEP)) == STEP


def test_up_to_the_last_fault_and_then_the_rest():
    """D-page: two faults in one step, then its boundary."""
    cursor = ReadCursor()
    assert cursor.new(read(*STEP, upto=(7, 2))) == [(7, 0, 3)]
    assert cursor.new(read(*STEP, upto=(8, 11))) == [(7, 3, 1), (8, 10, 2)]
    assert cursor.new(read(*STEP)) == [(8, 12, 1), (7, 20, 2)]


def test_the_same_reads_are_told_once():
    cursor = ReadCursor()
    cursor.new(read(*STEP))
    assert cursor.new(read(*STEP)) == []
    assert cursor.new(read(*STEP, upto=(7, 2))) == []
    assert cursor.new(read(*STEP[:2])) == STEP[:2]


def test_what_was_left_of_a_step_comes_with_the_next_one():
    cursor = ReadCursor()
    cursor.new(read(*STEP, upto=(8, 12)))
    assert cursor.new(read((9, 0, 2), (8, 0, 1), upto=(9, 0))) == [(7, 20, 2), (9, 0, 1)]


def test_a_fault_that_is_not_among_the_reads_moves_nothing():
    cursor = ReadCursor()
    assert cursor.new(read(*STEP, upto=(7, 4))) == []
    assert cursor.new(read(*STEP)) == STEP


def test_a_run_is_told_to_its_end_at_its_last_block():
    cursor = ReadCursor()
    assert cursor.new(read(*STEP, upto=(7, 3))) == STEP[:1]
    assert cursor.new(read(*STEP, upto=(8, 10))) == [(8, 10, 1)]


def test_nothing_read():
    assert ReadCursor().new(read()) == ReadCursor().new(read(upto=(7, 1))) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=5), st.data())
def test_every_block_is_told_once_and_in_order(sizes, data):
    """Runs apart from each other; faults at rising places; a boundary at the end."""
    runs = [(stream, 10 * n, count) for n, (stream, count) in enumerate(sizes)]
    order = [(stream, first + i) for stream, first, count in runs for i in range(count)]
    faults = sorted(data.draw(st.sets(st.integers(0, len(order) - 1)))) if order else []
    cursor, told = ReadCursor(), []
    for fault in faults:
        told += cursor.new(read(*runs, upto=order[fault]))
        assert expanded(told) == order[: fault + 1]
    told += cursor.new(read(*runs))
    assert expanded(told) == order


def expanded(runs):
    return [(stream, first + i) for stream, first, count in runs for i in range(count)]


def test_first_uses_stop_reading_as_faults_do():
    view = read(*STEP)
    used = type(view)(view.level, {"reads": view.reads, "accesses": seen((7, 0, "fault"), (7, 1, "use")).accesses})
    assert ReadCursor().new(used) == [(7, 0, 2)]
