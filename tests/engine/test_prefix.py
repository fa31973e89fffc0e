"""The prefix cache: exact by construction, vLLM's duplicates, and nothing found that is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.prefix import KeyIntern, PrefixCache


class Colliding(int):
    """A token whose hash is the same for all tokens."""

    def __hash__(self) -> int:
        return 7


def array(*numbers):
    return np.array(numbers, np.int64)


def test_colliding_hashes_do_not_join_prefixes():
    keys = KeyIntern()
    one = keys.chain([Colliding(t) for t in (1, 2, 3, 4)], 2)
    same = keys.chain([Colliding(t) for t in (1, 2, 3, 4)], 2)
    other = keys.chain([Colliding(t) for t in (1, 9, 3, 4)], 2)
    assert one.tolist() == same.tolist()
    assert len({*one.tolist(), *other.tolist()}) == 4, "equal tokens behind different ones are a different block"


def test_salt_separates():
    keys = KeyIntern()
    assert not set(keys.chain([1, 2], 2, "a")) & set(keys.chain([1, 2], 2, "b"))


def test_only_full_blocks_have_keys():
    assert [len(KeyIntern().chain([1] * n, 4)) for n in (0, 3, 4, 7, 8)] == [0, 0, 1, 1, 2]


def test_lookup_finds_the_longest_cached_prefix():
    cache = PrefixCache()
    cache.register(array(10, 11, 13), array(0, 1, 3))
    assert cache.lookup(array(0, 1, 2, 3)).tolist() == [10, 11]
    assert cache.lookup(array(2, 3)).tolist() == []
    assert cache.lookup(array(0, -1, 1)).tolist() == [10], "a private block ends the prefix"
    assert cache.lookup(array(0, 99_999)).tolist() == [10], "a key beyond all known ones is not cached"


def test_private_blocks_are_never_found():
    cache = PrefixCache()
    cache.register(array(5), array(-1))
    assert cache.lookup(array(-1)).tolist() == []


def test_first_of_two_equal_blocks_is_found_then_the_second():
    cache = PrefixCache()
    cache.register(array(4), array(0))
    cache.register(array(8), array(0))
    assert cache.lookup(array(0)).tolist() == [4]
    cache.forget(array(4))
    assert cache.lookup(array(0)).tolist() == [8]
    cache.forget(array(8))
    assert cache.lookup(array(0)).tolist() == []


def test_of_equal_blocks_registered_together_the_first_is_found():
    """Bug: the last one was, and the others were forgotten."""
    cache = PrefixCache()
    cache.register(array(4, 5, 6), array(0, 0, 0))
    for content in (4, 5, 6):
        assert cache.lookup(array(0)).tolist() == [content]
        cache.forget(array(content))
    assert cache.lookup(array(0)).tolist() == []


def test_a_lost_duplicate_does_not_come_back():
    cache = PrefixCache()
    cache.register(array(4), array(0))
    cache.register(array(8), array(0))
    cache.forget(array(8))
    cache.forget(array(4))
    assert cache.lookup(array(0)).tolist() == []


def test_two_equal_blocks_lost_together_are_both_gone():
    cache = PrefixCache()
    cache.register(array(4), array(0))
    cache.register(array(8), array(0))
    cache.forget(array(4, 8))
    assert cache.lookup(array(0)).tolist() == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["register", "forget", "both"]), st.integers(0, 3), st.integers(0, 9)), max_size=40
    )
)
def test_agrees_with_lists_of_holders(operations):
    """Model: for each key the contents registered under it, oldest first; the first one is found."""
    cache, holders, key_of, made = PrefixCache(), {}, {}, 0
    for kind, key, which in operations:
        if kind == "register":
            cache.register(array(made), array(key))
            holders.setdefault(key, []).append(made)
            key_of[made] = key
            made += 1
        elif key_of:
            lost = sorted(key_of)[which % len(key_of) :][: 2 if kind == "both" else 1]
            cache.forget(array(*lost))
            for content in lost:
                holders[key_of.pop(content)].remove(content)
        for known in range(4):
            found = cache.lookup(array(known)).tolist()
            assert found == holders.get(known, [])[:1]
