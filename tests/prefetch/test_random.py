"""The random control: what it may draw from, and that equal seeds draw equal blocks."""

from collections import Counter

import pytest

from pagedkv.engine.view import Accesses
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.random import Random
from tests.prefetch.views import blocks, seen

SEEN = [(1, 0, "fault"), (1, 7, "use"), (2, 3, "late")]
ADDRESSES = [(1, 0), (1, 7), (2, 3)]


def nothing():
    view = seen((0, 0, "fault"))
    return type(view)(view.level, {"accesses": Accesses.none()})


def test_nothing_is_drawn_before_something_was_seen():
    assert Random().propose(nothing()) == []


def test_as_many_blocks_as_asked_for_at_each_call_all_of_them_seen():
    policy = Random(blocks=5)
    for view in (seen(*SEEN), nothing(), nothing()):
        drawn = blocks(policy.propose(view))
        assert len(drawn) == 5
        assert set(drawn) <= set(ADDRESSES)


def test_every_address_has_the_same_chance_however_often_it_was_seen():
    """6000 draws of three addresses, one of them seen four times: 2000 each, standard deviation 37."""
    policy = Random(blocks=6000)
    drawn = Counter(blocks(policy.propose(seen(*SEEN, *[SEEN[0]] * 3))))
    assert set(drawn) == set(ADDRESSES)
    assert all(abs(count - 2000) < 200 for count in drawn.values())


def test_equal_seeds_draw_equal_blocks():
    def draw(seed):
        policy = Random(blocks=20, seed=seed)
        return [blocks(policy.propose(view)) for view in (seen(*SEEN), nothing())]

    assert draw(3) == draw(3) != draw(4)
    first, second = draw(3)
    assert first != second


def test_it_is_a_control_and_its_draws_do_not_pile_up():
    assert (Random().family, Random().replans) == ("control", True)


def test_parts_of_blocks_add_up():
    policy = Random(blocks=2.5)
    assert [len(blocks(policy.propose(seen(*SEEN)))) for _ in range(4)] == [2, 3, 2, 3]


@pytest.mark.parametrize("parameters", [{"blocks": 0}, {"seed": -1}, {"blocks": "many"}])
def test_bad_parameters(parameters):
    (name,) = parameters
    with pytest.raises(PagedKVError, match=f"random: {name} is a (whole )?number from"):
        Random(**parameters)
