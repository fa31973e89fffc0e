"""The table of controlled workloads: every row builds, and has the shape it promises."""

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import GENERATORS, PRIVATE, build
from pagedkv.workload.controlled import QUESTION_TOKENS, case, cases

RHO_TAU_S, RHO_STEP_S = 40e-6, 6e-3  # rough H200 figures of controlled.py's docstring


@pytest.mark.parametrize("name", cases())
def test_every_row_builds(name):
    row = case(name)
    table = build({"generator": row.kind, "case": name}, "data")
    assert table.name == name
    assert len(table) == row.requests
    assert table.origin["generator"] == row.kind
    assert table.origin["parameters"]["quantum"] == row.quantum
    assert (table.arrival_s[table.turn == 0] == 0).all()
    assert table.session.max() + 1 == (row.batch if row.kind == "longdoc" else row.requests)


def test_rotations_lie_on_both_sides_of_rho_1():
    rows = [row for row in cases().values() if row.kind == "rotation"]
    rho = [row.batch * row.context / 16 * RHO_TAU_S / (row.quantum * RHO_STEP_S) for row in rows]
    assert sum(value < 0.5 for value in rho) >= 2
    assert sum(value > 2 for value in rho) >= 2
    assert all(row.batch < row.requests and row.capacity < 1 for row in rows)
    assert all(row.batch / row.requests * (1 + row.spread) <= row.capacity for row in rows)


def test_rotation_spreads_its_lengths_and_shares_nothing():
    row, table = case("rotation-q16"), GENERATORS["rotation"]()
    assert abs(table.prompt_tokens - row.context).max() <= row.spread * row.context
    assert len(np.unique(table.prompt_tokens)) > row.requests / 2
    assert (table.block_keys(0) == PRIVATE).all()


def test_longdoc_asks_round_robin_and_shares_only_the_document():
    row, table = case("longdoc-64-batch4"), GENERATORS["longdoc"](case="longdoc-64-batch4")
    first = [table.block_ids(index)[0] for index in range(len(table))]
    for client in range(row.batch):
        mine = np.flatnonzero(table.session == client)
        asked = [first[index] for index in mine]
        expected = [question % row.documents for question in range(client, row.requests, row.batch)]
        assert asked == [document * row.context // 512 for document in expected]
        assert (table.pause_s[mine[1:]] == 0).all()
    keys = table.block_keys(0)
    assert (keys[: row.context // 16] != PRIVATE).all()
    assert (keys[row.context // 16 :] == PRIVATE).all()
    assert (table.prompt_tokens == row.context + QUESTION_TOKENS).all()


def test_longdoc_rows_share_one_pool():
    pools = {row.documents * row.capacity for row in cases().values() if row.kind == "longdoc"}
    assert pools == {20}


def test_fits_fits():
    assert all(row.capacity > 1 for row in cases().values() if row.kind == "fits")


def test_an_unknown_case_is_named():
    with pytest.raises(PagedKVError, match="workload: no rotation case 'fits'; there are rotation-q2, "):
        GENERATORS["rotation"](case="fits")
    with pytest.raises(PagedKVError, match="no controlled case 'x'"):
        case("x")
