"""What every prefetch policy of the registry promises, whatever it does."""

import re

import numpy as np
import pytest

from pagedkv.engine.address import LOGICAL, PHYSICAL, Logical
from pagedkv.engine.demand import DPage, demand_mode
from pagedkv.engine.host_address import HOST_SPACES
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.registry import PREFETCHERS
from tests.engine import recorded
from tests.engine.build import calibration, replay, toy_memory
from tests.metric import small
from tests.prefetch.views import told

POLICIES = PREFETCHERS.all()
EVERY = sorted(POLICIES)
PARAMETERS = [(name, parameter) for name in EVERY for parameter in POLICIES[name].parameters]
FAMILIES = {"speculative", "schedule", "oracle", "none", "control"}


# ------------------------------------------------------------ what tables and the guide print
@pytest.mark.parametrize("name", EVERY)
def test_it_declares_what_tables_print(name):
    policy = POLICIES[name]()
    assert policy.name == name
    assert isinstance(policy.level, Level)
    assert policy.family in FAMILIES
    assert policy.source
    assert policy.label
    assert {*policy.least, *policy.choices, *policy.shares} <= set(policy.parameters)


@pytest.mark.parametrize("name", EVERY)
def test_its_docstring_gives_level_cost_source_and_every_parameter(name):
    text = POLICIES[name].__doc__
    for word in ("Level:", "Cost:", "Source:"):
        assert word in text, f"{name} does not say its {word}"
    for parameter in POLICIES[name].parameters:
        assert re.search(rf"\b{parameter}\b", text), f"{name} does not explain '{parameter}'"


# ------------------------------------------------------------ parameters
def refused(name, **parameters):
    """The message with which a policy refuses `parameters`: at once, or, if it names a file, when it needs it."""
    with pytest.raises(PagedKVError) as error:
        POLICIES[name](**parameters).propose(told((0, 0, "fault")))
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", EVERY)
def test_a_parameter_that_it_does_not_have_is_refused(name):
    assert refused(name, wish=1).startswith(f"prefetch policy '{name}' has no parameter 'wish'; it has: ")


@pytest.mark.parametrize("name, parameter", PARAMETERS)
def test_no_parameter_takes_nonsense(name, parameter):
    message = refused(name, **{parameter: "nonsense"})
    assert "nonsense" in message
    assert name in message or parameter in message


@pytest.mark.parametrize("name, parameter", [(n, p) for n in EVERY for p in POLICIES[n].least])
def test_whole_numbers_begin_where_it_says(name, parameter):
    least = POLICIES[name].least[parameter]
    for wrong in (least - 1, least + 0.5, True):
        message = f"{name}: {parameter} is a whole number from {least} on, not {wrong!r}"
        assert refused(name, **{parameter: wrong}) == message


# ------------------------------------------------------------ what runs must not depend on
@pytest.mark.parametrize("name", [name for name in EVERY if POLICIES[name]().level == Level.I0])
def test_without_an_access_there_is_nothing_to_follow(name):
    """At I0 a view holds the state of the link, accesses and feedback."""
    assert POLICIES[name]().propose(told()) == []


@pytest.mark.parametrize("name", [name for name in EVERY if issubclass(POLICIES[name], OnAccess)])
def test_one_answer_to_many_accesses_is_that_to_one_after_the_other(name):
    accesses = [(s, i, kind) for s in (1, 2) for i in range(12) for kind in (["fault", "use"][i % 3 == 2],)]
    together = POLICIES[name]().propose(told(*accesses))
    policy = POLICIES[name]()
    assert together == [fetch for access in accesses for fetch in policy.propose(told(access))]
    assert together


@pytest.fixture(scope="module")
def script():
    return recorded.rotating()


def played(name, play):
    """Call `play`; skip where the policy says that one of its parameters has no default that it could run with."""
    try:
        return play()
    except PagedKVError as error:
        needed = re.match(rf"{name}: (\w+) is needed", str(error))
        if needed and needed[1] in POLICIES[name].parameters:
            pytest.skip(str(error))
        raise


def run(script, name, **options):
    options = {"pool": recorded.POOL, "calibration": calibration(block_s=3e-4, submit_s=2e-5), **options}
    made = replay(script, POLICIES[name](), rotation=Rotation(2, 4), **options)
    played(name, made.run)
    made.memory.tiers.assert_consistency()
    return made


def places(name):
    """(policy, address space, demand mode) of everything that it may run under."""
    policy = POLICIES[name]()
    spaces = [LOGICAL, PHYSICAL, *HOST_SPACES] if policy.spatial else [LOGICAL]
    modes = [policy.demand] if policy.demand else ["D-step", "D-page"]
    return [(name, space, mode) for space in spaces for mode in modes]


PLACES = [place for name in EVERY for place in places(name)]


@pytest.mark.parametrize("name, address, mode", PLACES)
def test_it_runs_at_its_level_and_two_of_a_kind_decide_alike(script, name, address, mode):
    """A view raises on a field above the level. What one object learns, another one does not know."""
    demand = demand_mode(mode, 20.0)
    first, second = (run(script, name, address=address, demand=demand) for _ in range(2))
    assert first.memory.counts.decision_calls > 0 or name == "none"
    assert first.stalls.tobytes() == second.stalls.tobytes()
    assert first.memory.issuer.counts == second.memory.issuer.counts


@pytest.mark.parametrize("name, address, mode", PLACES)
def test_with_room_for_everything_it_issues_nothing(script, name, address, mode):
    made = run(script, name, address=address, demand=demand_mode(mode), pool=1000)
    assert (made.memory.issuer.counts.issued, made.memory.counts.useful, made.memory.counts.demand_loads) == (0, 0, 0)
    assert not made.stalls.any()


# ------------------------------------------------------------ what addresses tell
class Permuted:
    """Stream 0; the address of a content is its place in a random order of all of them."""

    name = "permuted"

    def __init__(self, contents: int) -> None:
        self._content = np.random.default_rng(7).permutation(contents)
        self._index = np.argsort(self._content)

    def encode(self, request, blocks, contents):
        return np.zeros(len(blocks), np.int64), self._index[contents]

    def decode(self, stream, first, count):
        return self._content[max(first, 0) : max(0, first + count)]

    def decode_all(self, ranges, name):
        return np.concatenate([self.decode(*entry[:3]) for entry in ranges])

    def name_blocks(self, stream, first, contents):
        pass

    def locate(self, contents):
        return self.encode(0, contents, contents)


@pytest.fixture(scope="module")
def once():
    return recorded.once()


def missed(script, name, space=None) -> list[int]:
    """Blocks that are loaded on demand, one by one."""
    made: list[Replay] = []
    space = space or Logical(lambda request: made[0].table_of(request))
    costs = calibration(block_s=3e-4)
    memory = toy_memory(recorded.ONCE_POOL, POLICIES[name](), space, demand=DPage(20.0), calibration=costs)
    made.append(Replay(script, memory, Rotation(2, 4), None))
    played(name, made[0].run)
    return np.concatenate([blocks for _, blocks in memory.misses]).tolist()


def coverage(script, name, space=None) -> float:
    none, left = missed(script, "none"), missed(script, name, space)
    return 1 - len(left) / len(none)


GUESSING = [name for name in EVERY if POLICIES[name]().family == "speculative" and POLICIES[name]().spatial]


@pytest.mark.parametrize("name", GUESSING)
def test_on_permuted_addresses_a_guess_covers_nothing(once, name):
    """But for what it fetches by chance and what stays until it is read: the pool holds a tenth of all blocks."""
    assert abs(coverage(once, name, Permuted(once.contents))) <= 0.1


def test_there_each_block_comes_back_once(once):
    blocks = missed(once, "none")
    assert len(blocks) == len(set(blocks)) > 80


@pytest.mark.parametrize("name", ["next_n", "linux_vma", "linux_file", "leap_paper", "amp", "sarc", "stride"])
def test_there_on_logical_addresses_guesses_are_right(once, name):
    """Guards the tests above against a workload in which nothing is predictable."""
    assert coverage(once, name) > 0.4


@pytest.mark.parametrize("trigger", ["miss", "tagged", "always"])
def test_d_page_with_unbounded_next_n_moves_the_bytes_of_d_step(trigger):
    """A request is read whole behind its first fault, which is what D-step loads. No request has 256 blocks."""
    runs = small.runs_of(small.trace())
    step = runs.run(Case("none", demand="D-step"))
    page = runs.run(Case("next_n", {"n": 256, "trigger": trigger}, demand="D-page"))
    assert page.issuer.issued > 0
    assert page.h2d_bytes == step.h2d_bytes > 0
