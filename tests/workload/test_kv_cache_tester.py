"""kv-cache-tester's archive: sessions, pauses, ids, and every message."""

import io
import json
import tarfile

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import PRIVATE, kv_cache_tester


def request(t, tokens=128, out=5, ids=None, **more):
    ids = list(range(1, tokens // 64 + 1)) if ids is None else ids
    return {"t": t, "type": "n", "in": tokens, "out": out, "hash_ids": ids, **more}


def trace(*requests, block_size=64):
    return {"id": "x", "block_size": block_size, "hash_id_scope": "local", "requests": list(requests)}


SUBAGENT = {
    "t": 4.5,
    "type": "subagent",
    "agent_id": "a1",
    "requests": [request(0, ids=[7, 8]), request(9, ids=[7, 9])],
}
GOOD = [
    trace(
        request(0.0, api_time=2.5, think_time=0.0),
        request(10.0, 200, 0, ids=[1, 2, 3], think_time=7.0),  # after a request with server time: think time
        SUBAGENT,
        request(15.0, api_time=1.0, think_time=99.0),  # after one without: difference of t
        request(20.0, api_time=30.0),  # no think time: difference less server time
        request(21.0),  # never negative
    ),
    trace(request(0.0, 130)),
]


def archive(folder, *traces, mode="w:xz", name="traces.tar.xz"):
    path = folder / name
    with tarfile.open(path, mode) as tar:
        for number, content in enumerate(traces, start=1):
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(f"traces/trace_{number:04d}.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def by_length(table, turns):
    """Rows of the session that has so many turns."""
    return np.flatnonzero(np.isin(table.session, np.flatnonzero(np.bincount(table.session) == turns)))


@pytest.mark.parametrize("mode, name", [("w:xz", "t.tar.xz"), ("w:gz", "t.tar.gz"), ("w", "t.tar")])
def test_a_trace_is_a_closed_loop_session(tmp_path, mode, name):
    table = kv_cache_tester.read(archive(tmp_path, *GOOD, mode=mode, name=name))
    assert table.name == "t"
    assert len(table) == 6
    rows = by_length(table, 5)
    assert table.turn[rows].tolist() == [0, 1, 2, 3, 4]
    assert table.pause_s[rows[1:]].tolist() == [7, 5, 4, 0]
    assert table.prompt_tokens[rows].tolist() == [128, 200, 128, 128, 128]
    assert table.output_tokens[rows].tolist() == [5, 1, 5, 5, 5]  # no answer of 0 tokens
    starts = table.arrival_s[table.turn == 0]
    assert ((starts >= 0) & (starts < 3600)).all()


def test_ids_become_global_and_only_full_pieces_are_known(tmp_path):
    table = kv_cache_tester.read(archive(tmp_path, *GOOD))
    long, short = by_length(table, 5), by_length(table, 1)
    assert table.known_tokens[long[1]] == 192
    assert table.known_tokens[short[0]] == 128
    assert table.block_keys(long[1])[12:].tolist() == []
    assert (table.block_keys(short[0]) != PRIVATE).all()
    ids = [set(table.ids[table.id_offsets[rows[0]] : table.id_offsets[rows[-1] + 1]]) for rows in (long, short)]
    assert not ids[0] & ids[1]


def test_subagents_are_sessions_of_their_own_that_start_with_the_trace(tmp_path):
    table = kv_cache_tester.read(archive(tmp_path, *GOOD), subagents=True)
    assert len(table) == 8
    main, sub = by_length(table, 5), by_length(table, 2)
    assert table.arrival_s[sub[0]] - table.arrival_s[main[0]] == pytest.approx(4.5)
    assert table.pause_s[sub[1]] == 9
    owned = [
        set(table.ids[table.id_offsets[r[0]] : table.id_offsets[r[-1] + 1]]) for r in (main, sub, by_length(table, 1))
    ]
    assert not owned[0] & owned[1]
    assert not (owned[0] | owned[1]) & owned[2]


def test_limit_turns_and_rate(tmp_path):
    path = archive(tmp_path, *GOOD)
    assert len(kv_cache_tester.read(path, limit=1)) == 5
    assert len(kv_cache_tester.read(path, max_turns=2)) == 3
    slow, fast = kv_cache_tester.read(path), kv_cache_tester.read(path, rate_scale=10)
    first = slow.turn == 0
    np.testing.assert_allclose(fast.arrival_s[first], slow.arrival_s[first] / 10, atol=1e-6)
    np.testing.assert_array_equal(fast.pause_s, slow.pause_s)
    assert kv_cache_tester.read(path, seed=2).digest != slow.digest == kv_cache_tester.read(path, seed=1).digest


@pytest.mark.parametrize(
    "content, cause",
    [
        (b"{", "not JSON: "),
        (b"\xff", "not JSON: "),
        (b"[]", "block_size must be 64"),
        (trace(request(0), block_size=32), "block_size must be 64"),
        ({"block_size": 64}, "requests must be a list"),
        (trace(3), "request 0: not an object"),
        (trace(request(0), request(1, tokens=-1)), "request 1: in is -1, must be an integer of at least 1"),
        (trace(request(0, out=None)), "request 0: out is None, must be an integer of at least 0"),
        (trace(request(0, tokens=64.5, ids=[1])), "request 0: in is 64.5, must be an integer of at least 1"),
        (trace({**request(0), "hash_ids": 4}), "request 0: hash_ids must be a list"),
        (trace(request(0, ids=[1])), "request 0: 1 hash_ids, must be 2 for 128 tokens"),
        (trace(request(0, ids=[1, -2])), "request 0: hash_ids must be integers of at least 0"),
        (trace(request(5), request(4)), "request 1: t is before that of the request above"),
        (trace(request(0), request(float("nan"))), "request 1: t is nan, must be a number of at least 0"),
        (trace(request(0, api_time="1"), request(3)), "request 1: api_time is '1', must be a number of at least 0"),
        (
            trace(request(0, api_time=1), request(3, think_time=float("inf"))),
            "request 1: think_time is inf, must be a number of at least 0",
        ),
    ],
)
def test_bad_traces_are_named(tmp_path, content, cause):
    path = archive(tmp_path, GOOD[1], content)
    with pytest.raises(PagedKVError) as error:
        kv_cache_tester.read(path)
    assert str(error.value).startswith(f"{path}: trace_0002.json: {cause}")
    assert "\n" not in str(error.value)


def test_a_bad_subagent_is_named(tmp_path):
    path = archive(tmp_path, trace({**SUBAGENT, "t": -1}))
    with pytest.raises(PagedKVError, match=r"trace_0001\.json: a1: t is -1, must be a number of at least 0"):
        kv_cache_tester.read(path, subagents=True)


def test_ids_that_are_no_tree_are_named(tmp_path):
    path = archive(tmp_path, trace(request(0), request(1, ids=[2, 1])))
    with pytest.raises(PagedKVError, match="row 1: a block id stands behind different blocks"):
        kv_cache_tester.read(path)


def test_a_truncated_empty_or_absent_archive_is_named(tmp_path):
    noise = np.random.default_rng(1).integers(0, 2**62, 4000).tolist()  # so that the middle of the file is data
    whole = archive(tmp_path, *GOOD, trace(*[{**request(0), "noise": noise}] * 2))
    (tmp_path / "cut.tar.xz").write_bytes(whole.read_bytes()[:-2000])
    (tmp_path / "zero.tar.xz").write_bytes(b"")
    for name in ("cut.tar.xz", "zero.tar.xz", "none.tar.xz"):
        with pytest.raises(PagedKVError, match=f"{name}: cannot be read: ") as error:
            kv_cache_tester.read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_an_archive_without_traces_is_named(tmp_path):
    with pytest.raises(PagedKVError, match="the archive has no traces"):
        kv_cache_tester.read(archive(tmp_path))


@pytest.mark.parametrize(
    "settings", [{"duration_s": 0}, {"rate_scale": -1}, {"limit": 0}, {"max_turns": 0}, {"seed": "a"}]
)
def test_wrong_parameters_are_named(tmp_path, settings):
    (name,) = settings
    with pytest.raises(PagedKVError, match=f"workload: {name} is "):
        kv_cache_tester.read(archive(tmp_path, *GOOD), **settings)
