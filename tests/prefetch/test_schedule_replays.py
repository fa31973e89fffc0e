"""Schedule-directed policies in a replay of a rotation: what the theory says of them holds for the runs."""

import pytest

from pagedkv.metric.cases import Case
from pagedkv.metric.outcome import Outcome
from tests.metric import small

TRACE = small.trace()


@pytest.fixture(scope="module")
def run():
    runs = small.runs_of(TRACE)

    def outcome(prefetch: str, eviction: str = "min", demand: str = "D-step", **params: object) -> Outcome:
        return runs.run(Case(prefetch, params, eviction=eviction, demand=demand))

    return outcome


def loads(outcome: Outcome) -> float:
    return outcome.counts.demand_loads + outcome.issuer.issued


@pytest.mark.parametrize("plan", ["true", "future"])
@pytest.mark.parametrize("eviction", ["lru", "plan_aware", "min"])
def test_aggressive_and_la_inf_are_clairvoyant_on_a_rotation(run, plan, eviction):
    """All three fetch in order of the true use; `clairvoyant` lists fewer entries, more than the link can serve."""
    oracle = run("clairvoyant", eviction)
    for other in (run("aggressive", eviction, plan=plan), run("la_k", eviction, k=None, plan="true")):
        assert other.stall_s == pytest.approx(oracle.stall_s, rel=0.01)
    assert oracle.stall_s < 0.7 * run("none", eviction).stall_s


def test_conservative_loads_as_min_and_aggressive_more(run):
    """The store of a block that is still under way at a boundary keeps it from being MIN's victim there: hence a
    hundredth."""
    assert loads(run("conservative")) <= 1.01 * loads(run("none"))
    assert loads(run("conservative")) < 0.9 * loads(run("aggressive", plan="future"))
    assert run("aggressive", plan="future").stall_s < run("conservative").stall_s < run("none").stall_s


@pytest.mark.parametrize("plan", ["stay", "len_pred", "true"])
def test_forestall_and_tip_start_later_and_lose_little(run, plan):
    """What waits until it is needed takes less room and fewer loads, for at most a fiftieth more stall."""
    aggressive = run("aggressive", plan=plan)
    for other in (run("forestall", plan=plan), run("tip", plan=plan)):
        assert other.issuer.issued < aggressive.issuer.issued
        assert other.stall_s <= 1.02 * aggressive.stall_s


def test_a_longer_fixed_horizon_hides_more(run):
    """P = 1 is one fetch; a batch of this rotation reads about 25 blocks of 1 ms, 7 steps."""
    stalls = [run("fixed_horizon", plan="true", steps=steps).stall_s for steps in (1, 2, 4, 8)]
    assert stalls == sorted(stalls, reverse=True) and stalls[0] > stalls[-1]
    assert run("fixed_horizon", plan="true").stall_s == stalls[0]


def test_noise_costs(run):
    stalls = [run("la_k", "plan_aware", plan="noisy", p=p).stall_s for p in (0.0, 0.5, 1.0)]
    assert stalls[0] == run("la_k", "plan_aware", plan="true").stall_s
    assert stalls[0] < stalls[1] < stalls[2]


@pytest.mark.parametrize("policy", ["queue_la", "steps_to_execution"])
def test_who_reads_the_queue_hides_what_the_plan_hides(run, policy):
    """Nobody pauses, and the queue is the plan."""
    assert run(policy, "plan_aware").stall_s == pytest.approx(run("la_k", "plan_aware").stall_s, rel=0.02)


def test_the_stop_rules_are_the_same_in_replay(run):
    """What is evicted after a request has entered the queue is not fetched: less than LA-k hides, but most of it."""
    best_effort, *others = (run(policy, least_tokens=0) for policy in ("best_effort", "wait_complete", "timeout"))
    for other in others:
        assert (other.stall_s, other.issuer.issued) == (best_effort.stall_s, best_effort.issuer.issued)
    assert run("la_k").stall_s < best_effort.stall_s < 0.8 * run("none").stall_s


def test_layer_wise_is_the_demand_mode_and_first_layer_improves_on_it(run):
    layer_wise = run("layer_wise", demand="D-layer")
    assert layer_wise.stall_s == run("none", demand="D-layer").stall_s < run("none").stall_s
    assert run("first_layer", demand="D-layer").stall_s < layer_wise.stall_s


def test_policies_for_pauses_do_nothing_where_nobody_pauses(run):
    for policy in ("ttl", "pause_prefetch", "resume_prefetch", "ewma_lead", "oracle_resume"):
        outcome = run(policy, "lru")
        assert outcome.issuer.issued == 0
        assert outcome.stall_s == run("none", "lru").stall_s
