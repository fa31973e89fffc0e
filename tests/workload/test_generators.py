"""What holds for every generator: the same bits everywhere, valid tables, and a message for each wrong parameter."""

from itertools import islice

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import GENERATORS, PRIVATE, chat
from pagedkv.workload.agent import BLOCK_TOKENS as AGENT_BLOCK
from pagedkv.workload.agent import MOST_TURNS
from pagedkv.workload.prefixes import IdSource
from pagedkv.workload.rng import Stream

SMALL = {
    "code": {"duration_s": 300, "seed": 7},
    "azure_conv": {"duration_s": 60, "seed": 7},
    "chat": {"duration_s": 60, "seed": 7},
    "agent": {"duration_s": 600, "sessions": 8, "max_turns": 30, "seed": 7},
    "rotation": {},
    "longdoc": {},
    "fits": {},
}
# SHA-256 of the columns (RequestTable.digest). A change here changes every result: it must be meant.
DIGESTS = {
    "code": "8b2260101698796e3e1e373eb523c3a75bbbcf718407a14ea1aa384ef201588e",
    "azure_conv": "f4b26ec3f6d40d3cdcc428889343ee1708e1749f71126b9382925197c1de3b8b",
    "chat": "6e184caf9ceadb2c02caf61e0c47df5ca77dff42e478eb7c4b7891fcc9d69497",
    "agent": "250dfe10b7bdc52c09760c7b6675d55bede29e64362b024f454d74c0ae527cf1",
    "rotation": "4d662c206bcf1ab7dbb537d6b3fdda867cc60f828205ed65efb59330431fd9a8",
    "longdoc": "db23736f753b87324768cdc9c01f549e6061bc6c5978298eb5078350c3d3f18a",
    "fits": "b118205c80ea63a2bc2b0601a41c5d7e836dae14833a05161385dc110867bd70",
}
TIMED = ["code", "azure_conv", "chat", "agent"]


@pytest.mark.parametrize("name", GENERATORS)
def test_bits_are_pinned(name):
    assert GENERATORS[name](**SMALL[name]).digest == DIGESTS[name]


@pytest.mark.parametrize("name", GENERATORS)
def test_origin_repeats_the_table_and_the_seed_changes_it(name):
    table = GENERATORS[name](**SMALL[name])
    parameters = dict(table.origin["parameters"])
    if name in TIMED:
        assert table.origin["generator"] == name
        assert GENERATORS[name](**parameters).digest == table.digest
    if name != "longdoc":  # whose default case draws nothing
        assert GENERATORS[name](**{**SMALL[name], "seed": 8}).digest != table.digest


@pytest.mark.parametrize("name", TIMED)
def test_limit_keeps_the_first_sessions(name):
    whole, part = GENERATORS[name](**SMALL[name]), GENERATORS[name](**SMALL[name], limit=5)
    assert part.session.max() == 4
    for column in ("arrival_s", "pause_s", "prompt_tokens", "output_tokens", "session", "turn"):
        np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[: len(part)])
    np.testing.assert_array_equal(part.ids, whole.ids[: len(part.ids)])


@pytest.mark.parametrize("name", ["code", "azure_conv"])
def test_a_longer_run_begins_with_the_shorter(name):
    short, long = (GENERATORS[name](duration_s=duration_s, seed=3) for duration_s in (300, 600))
    np.testing.assert_array_equal(short.arrival_s, long.arrival_s[: len(short)])
    np.testing.assert_array_equal(short.prompt_tokens, long.prompt_tokens[: len(short)])


@pytest.mark.parametrize("name", ["azure_conv", "chat", "agent"])
def test_rate_scale_multiplies_the_rate(name):
    settings = {"duration_s": 900, "seed": 5} | ({"max_turns": 3} if name == "agent" else {})
    sessions = [GENERATORS[name](**settings, rate_scale=scale).session.max() + 1 for scale in (1, 2)]
    assert sessions[1] / sessions[0] == pytest.approx(2, rel=0.15)


def test_a_chat_that_goes_on_shares_prompt_and_answer():
    table = GENERATORS["chat"](duration_s=120, seed=2)
    whole = table.prompt_tokens + table.output_tokens
    extended = rewritten = 0
    for row in np.flatnonzero(table.turn > 0):
        before, here = table.block_keys(row - 1), table.block_keys(row)
        shared = int(np.cumprod(before[: len(here)] == here[: len(before)]).sum())
        if PRIVATE not in before and table.prompt_tokens[row] >= whole[row - 1]:
            goes_on = shared == len(before)
            extended += goes_on
            rewritten += not goes_on
        assert shared >= 512 // 16  # the piece that all requests share
    assert extended > 10 * rewritten > 0


def test_a_repeated_chat_prompt_keeps_its_answer_private():
    table = GENERATORS["chat"](duration_s=600, seed=2)
    rows = np.flatnonzero((table.turn > 0) & (table.known_tokens == table.prompt_tokens))
    assert len(rows)
    for row in rows:
        assert table.prompt_tokens[row] == table.prompt_tokens[row - 1]
        prompt_blocks = int(table.prompt_tokens[row]) // 16
        before, here = table.block_keys(row - 1), table.block_keys(row)
        np.testing.assert_array_equal(before[:prompt_blocks], here[:prompt_blocks])
        assert (here[prompt_blocks:] == PRIVATE).all()


def test_agent_sessions_share_prefixes_and_only_those():
    table = GENERATORS["agent"](**SMALL["agent"])
    sessions = table.session.max() + 1
    owned = [
        set(np.concatenate([table.block_ids(r) for r in np.flatnonzero(table.session == s)])) for s in range(sessions)
    ]
    shared = [len(owned[a] & owned[b]) for a in range(sessions) for b in range(a)]
    assert max(shared) > 0
    assert max(shared) * AGENT_BLOCK < 20_000  # tools + system
    assert table.turn.max() < 30 <= MOST_TURNS


@pytest.mark.parametrize(
    "settings, cause",
    [
        ({"duration_s": 0}, "duration_s is 0, must be a number above 0"),
        ({"duration_s": float("nan")}, "duration_s is nan, must be a number above 0"),
        ({"duration_s": "60"}, "duration_s is '60', must be a number above 0"),
        ({"rate_scale": -1}, "rate_scale is -1, must be a number above 0"),
        ({"rate_scale": True}, "rate_scale is True, must be a number above 0"),
        ({"seed": 1.5}, "seed is 1.5, must be an integer of at least 0"),
        ({"seed": -1}, "seed is -1, must be an integer of at least 0"),
        ({"limit": 0}, "limit is 0, must be an integer of at least 1"),
    ],
)
@pytest.mark.parametrize("name", TIMED)
def test_wrong_parameters_are_named(name, settings, cause):
    with pytest.raises(PagedKVError) as error:
        GENERATORS[name](**settings)
    assert str(error.value) == f"workload: {cause}"


@pytest.mark.parametrize("settings", [{"sessions": 0}, {"max_turns": 0}])
def test_wrong_agent_parameters_are_named(settings):
    with pytest.raises(PagedKVError, match="is 0, must be an integer of at least 1"):
        GENERATORS["agent"](**settings)


@pytest.mark.parametrize("name", ["code", "azure_conv", "chat"])
def test_a_window_without_requests_is_refused(name):
    with pytest.raises(PagedKVError, match=f"workload {name}: no request falls into the chosen time"):
        GENERATORS[name](duration_s=1e-4, rate_scale=1e-5)


def test_pauses_of_chat_scale_and_nothing_else_does():
    def first_turns(pause_scale):
        turns = chat._turns(Stream(3, "chat", 4), IdSource(first=1), pause_scale)
        return list(islice(turns, 4))

    whole, tenth = first_turns(1.0), first_turns(0.1)
    assert len(whole) > 1
    assert [turn.pause_s for turn in tenth] == pytest.approx([0.1 * turn.pause_s for turn in whole])
    assert [turn.prompt_tokens for turn in tenth] == [turn.prompt_tokens for turn in whole]
