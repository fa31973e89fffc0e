"""Listening to a publisher: order, gaps, replay; against a socket of our own that speaks as vLLM does."""

import json
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.cli import main
from pagedkv.errors import PagedKVError
from pagedkv.kv_events.capture import END_OF_REPLAY, Sequence, Source, capture
from pagedkv.kv_events.event_log import read_log


# ---------------------------------------------------------------- order, without sockets
def ordered(numbers, kept=(), history=False):
    """What comes out for messages `numbers`, if the publisher still has `kept`; and the sequence."""
    sequence = Sequence(lambda first: [(n, b"again") for n in kept if n >= first], history)
    out = []
    for number in numbers:
        out += [place for place, _ in sequence.after(number)] + [number]
    return out, (sequence.recovered, sequence.missing)


def test_nothing_is_missing_in_order():
    assert ordered([4, 5, 6], kept=range(9)) == ([4, 5, 6], (0, 0))


def test_a_gap_is_fetched_as_far_as_possible():
    assert ordered([4, 8, 9], kept=range(9)) == ([4, 5, 6, 7, 8, 9], (3, 0))
    assert ordered([4, 8, 9], kept=[7, 8]) == ([4, 7, 8, 9], (1, 2))
    assert ordered([4, 8, 9]) == ([4, 8, 9], (0, 3))


def test_history_is_what_the_publisher_still_has():
    assert ordered([6, 7], kept=range(3, 8), history=True) == ([3, 4, 5, 6, 7], (3, 0))
    assert ordered([6, 7], history=True) == ([6, 7], (0, 0)), "what it no longer has is not missing"


def test_a_restart_is_told():
    with pytest.raises(ValueError, match="restarted: sequence 0 follows 5"):
        ordered([4, 5, 0])


@given(st.sets(st.integers(0, 30), min_size=1), st.sets(st.integers(0, 30)), st.booleans())
def test_what_comes_out_grows_and_every_number_is_there_or_missing(numbers, kept, history):
    out, (recovered, missing) = ordered(sorted(numbers), sorted(kept), history)
    assert out == sorted(set(out)) and set(numbers) <= set(out) <= numbers | kept
    assert len(out) == len(numbers) + recovered
    from_first = [n for n in out if n >= min(numbers)]
    assert missing == max(numbers) - min(numbers) + 1 - len(from_first)


# ---------------------------------------------------------------- sockets
class Publisher:
    """Waits for a subscriber, sends batches of given numbers once, and answers one request for replay out of `kept`
    (None: it does not wait for one)."""

    def __init__(self, zmq, msgspec, kept):
        self.context = zmq.Context()
        self.zmq, self.encode = zmq, msgspec.msgpack.encode
        self.pub, self.router = self.context.socket(zmq.XPUB), self.context.socket(zmq.ROUTER)
        self.endpoint = f"tcp://127.0.0.1:{self.pub.bind_to_random_port('tcp://127.0.0.1')}"
        self.replay_endpoint = f"tcp://127.0.0.1:{self.router.bind_to_random_port('tcp://127.0.0.1')}"
        self.kept = kept

    def payload(self, number):
        stored = {"type": "BlockStored", "block_hashes": [number], "parent_block_hash": None}
        stored |= {"token_ids": [7] * 16, "block_size": 16, "lora_id": None, "medium": "GPU", "lora_name": None}
        return self.encode([float(number), [stored], 0])

    def run(self, numbers, raw=()):
        """Wait for a subscriber, then send."""
        assert self.pub.poll(5000), "nobody subscribed"
        self.pub.recv()
        for number in numbers:
            self.pub.send_multipart((b"", number.to_bytes(8, "big"), self.payload(number)))
        for parts in raw:
            self.pub.send_multipart(parts)
        if self.kept is not None and self.router.poll(5000):
            client, empty, first = self.router.recv_multipart()
            for number in self.kept:
                if number >= int.from_bytes(first, "big"):
                    message = (client, empty, b"", number.to_bytes(8, "big"), self.payload(number))
                    self.router.send_multipart(message)
            self.router.send_multipart((client, empty, b"", END_OF_REPLAY, b""))

    def close(self):
        self.context.destroy(linger=0)


@pytest.fixture
def publish():
    """Starts a publisher of `numbers` that keeps `kept`; returns it."""
    zmq, msgspec = pytest.importorskip("zmq"), pytest.importorskip("msgspec")
    started = []

    def start(numbers, kept=None, raw=()):
        publisher = Publisher(zmq, msgspec, kept)
        thread = threading.Thread(target=publisher.run, args=(numbers, raw))
        thread.start()
        started.append((publisher, thread))
        return publisher

    yield start
    for publisher, thread in started:
        thread.join()
        publisher.close()


def test_a_gap_on_the_wire_is_asked_for(publish, tmp_path):
    publisher = publish([3, 4, 8], kept=range(5, 9))
    done = capture(Source(publisher.endpoint, publisher.replay_endpoint), 1.0, tmp_path / "log.jsonl")
    assert (done.batches, done.recovered, done.missing, done.ended) == (6, 3, 0, "")
    found = read_log(tmp_path / "log.jsonl")
    assert [batch.seq for batch in found.batches] == [3, 4, 5, 6, 7, 8]
    assert [batch.events[0].block_hashes for batch in found.batches] == [(n,) for n in range(3, 9)]
    assert "token_ids" not in (tmp_path / "log.jsonl").read_text()


def test_the_verb_says_what_is_missing(publish, tmp_path, capsys):
    publisher = publish([0, 2])
    out = tmp_path / "log.jsonl"
    arguments = ["--endpoint", publisher.endpoint, "--seconds", "1", "--token-ids", "--out", str(out)]
    assert main(["kv-events", "capture", *arguments]) == 0
    assert capsys.readouterr().out == f"{out}: 2 batches, 0 of them by replay, 1 missing\n"
    assert json.loads(out.read_text().splitlines()[0])["events"][0]["token_ids"] == [7] * 16


@pytest.mark.parametrize(
    "parts, cause",
    [
        ((b"", (1).to_bytes(8, "big"), b"\xc1"), "a message is no batch of events"),
        ((b"", (1).to_bytes(8, "big"), b"\x03"), "not a batch of events"),
        ((b"hello", b"world"), "a message of 2 parts is none of vLLM's"),
        ((b"", (0).to_bytes(8, "big"), b"\x92\x01\x90"), "the publisher was restarted"),
    ],
)
def test_what_came_before_something_strange_is_kept(publish, tmp_path, parts, cause):
    publisher = publish([0], raw=[parts])
    done = capture(Source(publisher.endpoint), 20.0, tmp_path / "log.jsonl")
    assert done.batches == 1 and cause in done.ended
    assert len(read_log(tmp_path / "log.jsonl").batches) == 1


def test_an_endpoint_that_is_none(tmp_path):
    pytest.importorskip("zmq")
    with pytest.raises(PagedKVError, match="^kv-events capture: nowhere: "):
        capture(Source("nowhere"), 1.0, tmp_path / "log.jsonl")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "zmq", None)
    arguments = ["--endpoint", "tcp://127.0.0.1:1", "--seconds", "1", "--out", str(tmp_path / "log.jsonl")]
    assert main(["kv-events", "capture", *arguments]) == 2
    assert capsys.readouterr().err == "pagedkv: kv-events capture: zmq is not installed: pip install pyzmq msgspec\n"
