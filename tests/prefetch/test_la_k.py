"""LA-k on hand-made plans: what lies within the horizon, in order of use, and when it wants to be asked again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.ladder import Level
from pagedkv.engine.plan import QueueState, stay_plan
from pagedkv.engine.view import Planned, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch._plans import LOOKBEYOND, SCHEDULER_PLANS
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.la_k import LookAhead
from pagedkv.prefetch.registry import PREFETCHERS
from tests.engine.build import put_on_host, toy_memory

BLOCKS = {7: 5, 8: 0, 9: 2, 4: 3}


def waiting(*requests: int, quantum: int | None = 4, left: int | None = 3, asked: list | None = None) -> View:
    """Step 10, `requests` wait in this order, two a batch; the rotation comes in `left` steps. Level I4."""
    state = QueueState(10, requests, 2, quantum, left)

    def plan(horizon):
        if asked is not None:
            asked.append(horizon)
        return stay_plan(state, horizon, BLOCKS.__getitem__)

    return View(Level.I4, {"step": 10, "queue": requests, "quantum_left": left, "plan": plan})


def truth(*entries: Planned, step: int = 10) -> View:
    plan = lambda horizon: [e for e in entries if horizon is None or e.step - step <= horizon]  # noqa: E731
    return View(Level.I5, {"step": step, "quantum_left": None, "plan": None, "true_plan": plan})


@pytest.mark.parametrize(
    "k, fetched, wake",
    [
        (0, [], 13),
        (2, [], 11),
        (3, [Fetch(7, 0, 5, 13)], 14),
        (6, [Fetch(7, 0, 5, 13)], 11),
        (7, [Fetch(7, 0, 5, 13), Fetch(9, 0, 2, 17), Fetch(4, 0, 3, 17)], None),
        (None, [Fetch(7, 0, 5, 13), Fetch(9, 0, 2, 17), Fetch(4, 0, 3, 17)], None),
    ],
)
def test_a_rotation_by_hand(k, fetched, wake):
    """Before step 10 the queue is 7 8 9 4, two a batch: 7 and 8 (which has no block yet) join at 13, 9 and 4 at 17.

    k = 0 and 2: 13 is too far, and comes into the horizon at 13 and 11. k = 3 and 6: 7 but not 9, which comes at 14 and
    11. k = 7: everything.
    """
    policy, view = LookAhead(k=k), waiting(7, 8, 9, 4)
    assert policy.propose(view) == fetched
    assert policy.wake_step(view) == wake


def test_asked_at_its_wake_step_it_fetches_and_not_a_step_earlier():
    for step, expected in [(12, []), (13, [(9, 17)])]:
        view = View(Level.I4, {"step": step, "quantum_left": 4, "plan": lambda horizon: [Planned(17, 9, 2)]})
        policy = LookAhead(k=4)
        assert [(f.stream, f.due_step) for f in policy.propose(view)] == expected
        assert policy.wake_step(view) == (None if expected else 13)


def test_a_queue_without_rotation_gives_an_order_and_no_time():
    """The i-th waiting request stands for step 11 + i. It does not come nearer by itself, so there is no wake-up."""
    policy, view = LookAhead(k=2), waiting(9, 4, 7, quantum=None, left=None)
    assert policy.propose(view) == [Fetch(9, 0, 2, 11), Fetch(4, 0, 3, 12)]
    assert policy.wake_step(view) is None


def test_true_lengths_and_arrivals():
    """Two join at 12, in batch order; one at 30, which comes into a horizon of 4 at
    26."""
    view = truth(Planned(12, 9, 2), Planned(12, 3, 6), Planned(30, 5, 1))
    policy = LookAhead(k=4, plan="true")
    assert policy.propose(view) == [Fetch(9, 0, 2, 12), Fetch(3, 0, 6, 12)]
    assert policy.wake_step(view) == 26


def test_a_wake_step_is_forgotten_when_the_plan_changes():
    policy = LookAhead(k=1, plan="true")
    for view, wake in [(truth(Planned(20, 9, 2)), 19), (truth(), None)]:
        policy.propose(view)
        assert policy.wake_step(view) == wake


@pytest.mark.parametrize("left, horizon", [(3, 16 + LOOKBEYOND), (None, 16)])
def test_the_plan_is_searched_beyond_the_horizon_only_where_it_has_times(left, horizon):
    asked = []
    LookAhead(k=16).propose(waiting(7, left=left, quantum=left and 4, asked=asked))
    assert asked == [horizon]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=8), st.integers(0, 12))
def test_exactly_what_the_horizon_holds_in_order_of_use(entries, k):
    plan = [Planned(10 + step, n, blocks) for n, (step, blocks) in enumerate(sorted(entries))]
    fetched = LookAhead(k=k, plan="true").propose(truth(*plan))
    assert fetched == [Fetch(e.request, 0, e.blocks, e.step) for e in plan if e.step <= 10 + k and e.blocks > 0]


def test_an_answer_replaces_the_one_before():
    """Of the queued 3 + 4 blocks of requests 1 and 2, the next plan names only request 2."""
    memory = toy_memory(20, LookAhead())
    put_on_host(memory, 4)
    policy, issuer = memory.policy, memory.issuer
    for answer in ([Fetch(1, 0, 3, 12), Fetch(2, 0, 4, 13)], [Fetch(2, 0, 4, 13)]):
        issuer.accept(answer, policy.replans)
    assert (issuer.counts.cancelled, issuer.queued_blocks) == (3, 4)


def test_levels():
    assert [LookAhead(plan=plan).level for plan in SCHEDULER_PLANS] == [Level.I4, Level.I4, Level.I5, Level.I5]
    assert PREFETCHERS.get("la_k").level == Level.I4, "an instance with the true plan does not change the class"


def test_the_true_plan_cannot_be_read_at_i4():
    with pytest.raises(PagedKVError, match="level I4 may not read 'true_plan'"):
        LookAhead(plan="true").propose(waiting(7))


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"plan": "future"}, "la_k: plan is one of stay, len_pred, noisy, true, not 'future'"),
        ({"plan": "noisy", "p": 1.5}, "la_k: p is a number from 0 to 1, not 1.5"),
        ({"k": -1}, "la_k: k is a whole number from 0 on, not -1"),
        ({"k": "inf"}, "la_k: k is a whole number from 0 on, not 'inf'"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        LookAhead(**parameters)
    assert str(error.value) == message


def test_labels():
    policies = [LookAhead(k=4), LookAhead(k=None, plan="true"), LookAhead(k=2, plan="noisy", p=0.25)]
    assert [policy.label for policy in policies] == ["LA-4 stay", "LA-inf true", "LA-2 noisy(0.25)"]


def test_predicted_lengths_have_times():
    """A predicted entry comes nearer by itself, even where nothing rotates: 9 is due in 2 steps, 5 is asked for at
    26."""
    entries = [Planned(12, 9, 2), Planned(30, 5, 1)]
    view = View(Level.I4, {"step": 10, "quantum_left": None, "predicted_plan": lambda horizon: entries})
    policy = LookAhead(k=4, plan="len_pred")
    assert policy.propose(view) == [Fetch(9, 0, 2, 12)]
    assert policy.wake_step(view) == 26


def test_a_noisy_plan_names_other_requests_at_the_same_steps():
    view = truth(Planned(12, 9, 2), Planned(13, 3, 6))
    asked = [LookAhead(k=4, plan="noisy", p=p).propose(view) for p in (0.0, 1.0)]
    assert asked == [[Fetch(9, 0, 2, 12), Fetch(3, 0, 6, 13)], [Fetch(3, 0, 6, 12), Fetch(9, 0, 2, 13)]]


def test_steps_of_numpy_are_compared_as_numbers():
    """The replay takes steps from arrays."""
    view = truth(Planned(np.int64(12), 9, 2), Planned(np.int64(15), 3, 1))
    policy = LookAhead(k=4, plan="true")
    assert [f.due_step for f in policy.propose(view)] == [12]
    assert policy.wake_step(view) == 11
