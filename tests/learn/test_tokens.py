"""Calls as inputs of the network."""

import numpy as np

from pagedkv.learn.tokens import Input, Tokens, as_array
from pagedkv.prefetch._symbols import NEW, Symbol

NEXT, COMES, RETURNS = Symbol(0, 1), Symbol(NEW, 0), Symbol(1, 0)


def test_classes_ends_and_boundaries_by_hand():
    """Stream 5 comes with three blocks, then 6 with one and 5 again up to its second, in one call; 5 goes on to its
    third in the next. COMES has no class: it is one of the others, 2."""
    tokens = Tokens([NEXT, RETURNS])
    assert list(tokens.push([(5, 0, 3)])) == [(Input(2, True, True), 1), (Input(0, True, False), 2)]
    assert list(tokens.push([(6, 0, 1), (5, 0, 2)])) == [
        (Input(2, True, True), 1),
        (Input(1, False, False), 1),
        (Input(0, False, False), 1),
    ]
    assert list(tokens.push([(5, 2, 1)])) == [(Input(0, True, True), 1)]


def test_a_call_that_begins_inside_a_run_has_its_boundary_on_the_first_token_only():
    tokens = Tokens([NEXT])
    list(tokens.push([(5, 0, 1)]))
    assert list(tokens.push([(5, 1, 3)])) == [(Input(0, True, True), 1), (Input(0, True, False), 2)]


def test_inputs_written_out():
    found = as_array([(Input(3, True, False), 2), (Input(0, False, True), 1)])
    assert found.tolist() == [[3, 1, 0], [3, 1, 0], [0, 0, 1]]
    assert as_array([]).shape == (0, 3)
    assert found.dtype == np.int64
