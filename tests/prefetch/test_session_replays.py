"""Policies for paused sessions in a replay: 12 sessions of 5 turns that return after equal pauses, on too small a pool.

Each turn reads what the one before left, 5 to 21 blocks of 1 ms; the others push most of it out during a pause."""

import pytest

from pagedkv.engine.replay import Replay, Rotation
from tests.engine.build import record, replay, table

POOL, SEQS = 90, 3
EARLY, TURNS, PAUSE_S = 64, 5, 0.2


def sessions() -> list[dict]:
    rows = []
    for session in range(12):
        known = EARLY
        for turn in range(TURNS):
            prompt, output = known + 16 * (1 + (session + turn) % 4), 17 + 16 * (session % 2)
            row = {"prompt": prompt, "output": output, "session": session, "turn": turn}
            row["ids"] = [1000 * (session + 1) + block for block in range(-(-(prompt + output) // 16))]
            row |= {"pause": PAUSE_S} if turn else {"at": 0.02 * session}
            rows.append(row)
            known = prompt + output - 1
    return sorted(rows, key=lambda row: "pause" in row)


@pytest.fixture(scope="module")
def run():
    engine = {"max_num_seqs": SEQS, "pool_blocks": POOL, "max_num_batched_tokens": 256}
    trace, _ = record(table(sessions()), settings=engine)
    done: dict[tuple, Replay] = {}

    def outcome(policy: str, **params: object) -> Replay:
        key = (policy, *sorted(params.items()))
        if key not in done:
            done[key] = replay(trace, policy, pool=POOL, rotation=Rotation(SEQS, None), params=params)
            done[key].run()
        return done[key]

    return outcome


def stall_s(replayed: Replay) -> float:
    return replayed.memory.counts.stall_s


def test_who_knows_the_returns_hides_most(run):
    assert stall_s(run("oracle_resume")) < 0.3 * stall_s(run("none"))


@pytest.mark.parametrize("policy", ["ewma_lead", "steps_to_execution"])
def test_equal_pauses_are_soon_learned(run, policy):
    """A pause of 200 ms is known to the boundary at which it ended: not much is left to the oracle."""
    nothing, oracle = stall_s(run("none")), stall_s(run("oracle_resume"))
    assert stall_s(run(policy)) - oracle < 0.2 * (nothing - oracle)


@pytest.mark.parametrize("policy", ["oracle_resume", "ewma_lead", "pause_prefetch"])
def test_at_the_return_it_is_late(run, policy):
    """With a short queue, what starts when the turn arrives is behind all that starts before."""
    assert stall_s(run(policy)) < 0.8 * stall_s(run("resume_prefetch"))


def test_without_a_lead_the_load_starts_when_it_should_be_there(run):
    assert stall_s(run("ewma_lead")) < stall_s(run("ewma_lead", lead_s=0.0))


def test_a_time_to_live_saves_reloads_if_it_lasts_until_the_return(run):
    """Nobody returns within 100 ms. It fetches nothing ahead."""
    loads = {tau_s: run("ttl", tau_s=tau_s).memory.counts.demand_loads for tau_s in (0.0, 0.1, 0.25)}
    assert loads[0.25] < loads[0.1] == loads[0.0]
    assert loads[0.25] <= run("ttl").memory.counts.demand_loads <= loads[0.0], (
        "the learned tau is one of the pauses, or 0"
    )
    assert run("ttl").memory.issuer.counts.issued == 0
