"""Accesses as symbols that name no request."""

from hypothesis import given
from hypothesis import strategies as st

from pagedkv.prefetch._symbols import NEW, REMEMBERED, Symbol, Symbols, Token


def pushed(symbols, *accesses):
    return [symbols.push(*access) for access in accesses]


def test_ranks_offsets_and_ends_by_hand():
    """7 comes new at 4, goes on to 5; 9 comes new at 0; 7 is one stream back, at 3 below its 5; then at 6 beyond."""
    assert pushed(Symbols(), (7, 4), (7, 5), (9, 0), (7, 3), (7, 6), (9, 0)) == [
        Token(Symbol(NEW, 4), True),
        Token(Symbol(0, 1), True),
        Token(Symbol(NEW, 0), True),
        Token(Symbol(1, 3), False),
        Token(Symbol(0, 3), True),
        Token(Symbol(1, 0), True),
    ]


def test_requests_in_turn_have_one_rank_whatever_their_number():
    """Three in turn: whoever comes next is the one accessed longest ago, two others back."""
    symbols = Symbols()
    tokens = pushed(symbols, *((request, 0) for _ in range(3) for request in (5, 40, 8)))
    assert {token.symbol for token in tokens[3:]} == {Symbol(2, 0)}


def test_a_stream_from_long_ago_is_new():
    symbols = Symbols()
    pushed(symbols, *((stream, 0) for stream in range(REMEMBERED + 1)))
    assert symbols.push(1, 0).symbol == Symbol(REMEMBERED - 1, 0)
    assert symbols.push(0, 0).symbol == Symbol(NEW, 0)


ACCESSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=30)


@given(ACCESSES)
def test_the_symbol_of_an_access_named_its_address_before(accesses):
    symbols = Symbols()
    for access in accesses:
        before = symbols.ahead()
        symbol = symbols.push(*access).symbol
        assert before.address(symbol) == (None if symbol.rank == NEW else access)


@given(ACCESSES, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(1, 5)), max_size=8))
def test_a_run_is_its_accesses_one_by_one(before, runs):
    whole, single = Symbols(), Symbols()
    for symbols in (whole, single):
        pushed(symbols, *before)
    for stream, first, count in runs:
        tokens = [token for token, times in whole.push_run(stream, first, count) for _ in range(times)]
        assert tokens == pushed(single, *((stream, index) for index in range(first, first + count)))


@given(ACCESSES, ACCESSES)
def test_what_is_pushed_ahead_leaves_the_symbols_alone(before, after):
    symbols, untouched = Symbols(), Symbols()
    for each in (symbols, untouched):
        pushed(each, *before)
    ahead = pushed(symbols.ahead(), *after)
    assert ahead == pushed(symbols, *after) == pushed(untouched, *after)


def test_symbols_that_name_no_address():
    symbols = Symbols()
    assert symbols.address(Symbol(0, 1)) is None, "there is no last stream yet"
    symbols.push(3, 2)
    assert symbols.address(Symbol(0, -2)) == (3, 0)
    assert [symbols.address(symbol) for symbol in (Symbol(0, -3), Symbol(1, 0), Symbol(NEW, 0))] == [None] * 3
