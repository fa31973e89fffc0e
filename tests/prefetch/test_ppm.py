"""PPM: probabilities and paths worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch._symbols import Symbol, Token
from pagedkv.prefetch.ppm import Model, Ppm
from tests.prefetch.feedback import answer, burst

A, B, C, D = (Symbol(0, n) for n in range(4))


def learnt(order: int, *symbols: Symbol) -> Model:
    model = Model(order)
    for symbol in symbols:
        model.learn(Token(symbol, False), 1)
    return model


def test_nothing_learnt_predicts_nothing():
    assert Model(4).likeliest(()) == (None, 0.0)


def test_the_longest_context_counts_first():
    """a b a b a c a: after a came b twice and c once: 2 / (3 + 2). The rest, 2/5, escapes to order 0, where a is the
    most frequent with 4 / (7 + 3): 0.16 in all."""
    model = learnt(1, A, B, A, B, A, C, A)
    assert model.likeliest(model.context) == (B, pytest.approx(0.4))


def test_an_unknown_context_costs_no_escape():
    """d was never followed by anything: order 0, in which a has 3 of 4 + 2 counts."""
    model = learnt(1, A, A, A, D)
    assert model.likeliest(model.context) == (A, pytest.approx(3 / 6))


def test_a_shorter_context_wins_where_the_longer_one_has_seen_little():
    """a b b b b a: after a came b once, 1 / (1 + 1). Half escapes; at order 0 b has 4 / (6 + 2), but after a it is not
    new, so a remains, which is not its top: b. Then c after a as well: b and c have 1/4 each, half escapes, and b, the
    top of order 0, is known at order 1: of the equals, c came last."""
    assert learnt(1, A, B, B, B, B, A).likeliest((0,)) == (B, pytest.approx(1 / 2))
    model = learnt(1, A, B, B, B, B, A, C)
    assert model.likeliest((0,)) == (C, pytest.approx(1 / 4))


def test_what_escapes_may_be_more_than_what_was_found():
    """After a came b, c and d once each: 1/6 each, and 1/2 escapes. At order 0 a has 12 of 15 + 4: 0.5 * 12 / 19."""
    model = learnt(1, *[A] * 1, B, A, C, A, D)
    model.context = ()
    for _ in range(9):
        model.learn(Token(A, True), 1)
        model.context = ()
    assert model.likeliest((0,)) == (A, pytest.approx(0.5 * 12 / 19))


def test_two_tokens_of_one_symbol_are_two_contexts():
    """+1 inside is followed by +1, +1 at the end of a stream by a jump."""
    inside, end, jump = Token(B, False), Token(B, True), Token(Symbol(1, 0), False)
    model = Model(1)
    for _ in range(3):
        for token in (inside, inside, end, jump):
            model.learn(token, 1)
    assert model.likeliest(model.after((), inside))[0] == B
    assert model.likeliest(model.after((), end))[0] == Symbol(1, 0)


TOKENS = st.builds(Token, st.sampled_from([A, B, C]), st.booleans())


@given(st.integers(0, 3), st.lists(st.tuples(TOKENS, st.integers(1, 8)), min_size=1, max_size=12))
def test_learning_a_repeated_token_at_once_is_learning_it_repeatedly(order, tokens):
    at_once, one_by_one = Model(order), Model(order)
    for token, times in tokens:
        at_once.learn(token, times)
        for _ in range(times):
            one_by_one.learn(token, 1)
        assert at_once.context == one_by_one.context
        for start in range(len(at_once.context) + 1):
            context = at_once.context[start:]
            assert at_once.likeliest(context) == one_by_one.likeliest(context)


@given(st.integers(0, 3), st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=30))
def test_probabilities_are_probabilities(order, symbols):
    model = learnt(order, *symbols)
    symbol, probability = model.likeliest(model.context)
    assert symbol in symbols
    assert 0 < probability < 1


def rotation(policy, turns, *streams, count=3):
    """Streams take turns in being read from their block 0 on; what is proposed after each turn."""
    return [answer(policy, *burst(stream, 0, count)) for _ in range(turns) for stream in streams]


def test_a_rotation_is_followed_from_request_to_request():
    """Three requests of three blocks. Each turn is: a jump to the request accessed longest ago, +1, and +1 to its end.
    The path goes through the next two requests and, as far as degree 9 goes, comes back to the one just read."""
    policy = Ppm(degree=9, confidence=0.0)
    assert rotation(policy, 6, 4, 8, 6)[-1] == [*burst(4, 0, 3), *burst(8, 0, 3), *burst(6, 0, 3)]


def test_degree_and_confidence_cut_the_path():
    """With order 1, each token of a rotation has been followed n times by the same: n / (n + 1), for every step."""
    assert rotation(Ppm(degree=4, confidence=0.0), 6, 4, 8, 6)[-1] == [*burst(4, 0, 3), (8, 0)]
    lengths = [len(rotation(Ppm(degree=9, confidence=c), 6, 4, 8, 6)[-1]) for c in (0.0, 0.5, 0.9, 1.0)]
    assert lengths[0] == 9
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 0


def test_confidence_is_that_of_the_path():
    """Order 0, one stream, 1 + 7 accesses: NEW once, +1 7 times of 8 + 2: 0.7, 0.49, 0.343, 0.2401, 0.168."""
    for confidence, blocks in [(0.71, 0), (0.69, 1), (0.3, 3), (0.2, 4)]:
        policy = Ppm(order=0, degree=9, confidence=confidence)
        assert answer(policy, *burst(1, 0, 8)) == burst(1, 8, blocks)


def test_an_expected_new_request_names_no_block():
    """Requests that never return, one block each: the next symbol is a new stream's."""
    policy = Ppm(confidence=0.0)
    assert [answer(policy, (stream, 0)) for stream in range(5)] == [[]] * 5


def test_a_call_without_accesses_proposes_nothing_again():
    policy = Ppm()
    assert answer(policy, *burst(1, 0, 20)) != []
    assert answer(policy) == []


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"order": -1}, "ppm: order is a whole number from 0 on, not -1"),
        ({"degree": 0}, "ppm: degree is a whole number from 1 on, not 0"),
        ({"confidence": 2}, "ppm: confidence is a number from 0 to 1, not 2"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Ppm(**parameters)
    assert str(error.value) == message
