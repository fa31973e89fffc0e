"""Victims of `min` and `plan_aware` against a simple policy that looks at every slot at each eviction."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.eviction.base import EvictionPolicy
from pagedkv.eviction.min import Min
from pagedkv.eviction.plan_aware import PlanAware
from tests.eviction.cache import array

CONTENTS = 24
SOME = st.lists(st.integers(0, CONTENTS - 1), unique=True, max_size=9)
STEPS = st.lists(st.integers(0, 6), min_size=CONTENTS, max_size=CONTENTS)
UNPLANNED = 1 << 20


class Partition(EvictionPolicy):
    """Highest score first; of equals the one that became evictable first. All slots are partitioned by one key."""

    def __init__(self) -> None:
        super().__init__()
        self.score = np.zeros(CONTENTS, np.int64)

    def victims(self, count: int, allowed) -> np.ndarray:
        candidates = np.arange(CONTENTS)
        candidates = candidates[self.members(candidates)]
        candidates = candidates[allowed(candidates)]
        if len(candidates) == 0:
            return candidates
        key = (self.score[candidates] << 42) + (self._next - self._serial[candidates])
        count = min(count, len(candidates))
        best = np.argpartition(-key, count - 1)[:count]
        return candidates[best[np.argsort(-key[best])]]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), SOME),
        st.tuples(st.just("remove"), SOME),
        st.tuples(st.just("evict"), st.integers(1, 9), SOME),
        st.tuples(st.just("look"), st.integers(1, CONTENTS), SOME),
        st.tuples(st.just("plan"), st.lists(SOME, max_size=5), STEPS),
    ),
    max_size=40,
)


def play(policy: EvictionPolicy, operations, plan) -> None:
    """Drive `policy` and the model alike; `plan(model, requests, steps)` changes what the scores come from."""
    model = Partition()
    for name, what, *more in operations:
        if name == "insert":
            for each in (policy, model):
                each.remove(array(*what))
                each.insert(array(*what))
        elif name == "remove":
            policy.remove(array(*what))
            model.remove(array(*what))
        elif name == "plan":
            plan(model, [array(*request) for request in what], np.array(more[0]))
        else:
            victims = policy.victims(what, lambda c, barred=more[0]: ~np.isin(c, barred))
            expected = model.victims(what, lambda c, barred=more[0]: ~np.isin(c, barred))
            assert victims.tolist() == expected.tolist()
            if name == "evict":
                policy.remove(victims)
                model.remove(victims)


@settings(max_examples=400)
@given(OPERATIONS)
def test_plan_aware(operations):
    policy = PlanAware()

    def plan(model: Partition, requests: list[np.ndarray], steps: np.ndarray) -> None:
        policy.replan(requests)
        model.score[:] = UNPLANNED
        for position in range(len(requests) - 1, -1, -1):
            model.score[requests[position]] = position

    play(policy, operations, plan)


@settings(max_examples=400)
@given(OPERATIONS)
def test_min(operations):
    """The next use of a content only changes while it is not evictable, as in a replay."""
    policy = Min()
    policy.next_use = np.zeros(CONTENTS, np.int64)

    def plan(model: Partition, requests: list[np.ndarray], steps: np.ndarray) -> None:
        idle = np.flatnonzero(~model.members(np.arange(CONTENTS)))
        policy.next_use[idle] = model.score[idle] = steps[idle]

    play(policy, operations, plan)
