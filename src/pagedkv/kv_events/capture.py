"""Listens to what a running vLLM publishes (`--kv-events-config`), and writes it as an event log.

A message has three parts: topic, sequence number (8 bytes, big-endian), batch in msgpack. A publisher with a replay
endpoint keeps its last batches, and sends all from a given number on; the end is marked by the number -1. Needs pyzmq
and msgspec, which vLLM itself brings along.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.files import whole_file
from pagedkv.kv_events.event_log import line_of
from pagedkv.kv_events.events import batch_from

Message = tuple[int, bytes]
"""(sequence number, payload)."""

SEQUENCE_BYTES = 8
END_OF_REPLAY = (-1).to_bytes(SEQUENCE_BYTES, "big", signed=True)
REPLAY_TIMEOUT_S = 2.0
"""How long a publisher may take for the next message of a replay; it looks for requests between its own batches."""
POLL_S = 0.2
HIGH_WATER_MARK = 0
"""Messages that may wait here: no limit, because what is dropped has to be asked for again."""


@dataclass(frozen=True)
class Source:
    """Where events come from. An endpoint with `*` is bound, because then the publisher is the one that connects."""

    endpoint: str
    replay_endpoint: str | None = None
    topic: str = ""


@dataclass(frozen=True)
class Captured:
    """What a capture has written: `batches` in all, of them `recovered` by replay; `missing` were not to be had.
    `ended`: why it ended before its time, empty if it did not."""

    batches: int
    recovered: int
    missing: int
    ended: str


class Sequence:
    """Puts messages in order: what is missing between two of them is fetched, as far as the publisher still has it.

    `fetch(first)` gives the messages from number `first` on. With `history`, all that the publisher still has from
    before the first message is fetched too; what it no longer has does not count as missing.
    """

    def __init__(self, fetch: Callable[[int], Iterable[Message]], history: bool = False) -> None:
        self.recovered = self.missing = 0
        self._fetch = fetch
        self._history = history
        self._next: int | None = None

    def after(self, number: int) -> list[Message]:
        """What comes before message `number`, which has arrived. ValueError if the publisher counts anew."""
        begun = self._next is not None
        first = self._next if begun else 0 if self._history else number
        if number < first:
            raise ValueError(f"the publisher was restarted: sequence {number} follows {first - 1}")
        self._next = number + 1
        if number == first:
            return []
        found = sorted({place: payload for place, payload in self._fetch(first) if first <= place < number}.items())
        self.recovered += len(found)
        self.missing += number - first - len(found) if begun else 0
        return found


def capture(
    source: Source, seconds: float, out: str | Path, *, content: bool = False, history: bool = False
) -> Captured:
    """Write what `source` publishes in `seconds`, or until it is interrupted. `content`: token ids and salts as well.

    Raises PagedKVError in one line where a library is missing or an endpoint is none.
    """
    zmq, decode = _libraries()
    context, written, ended = zmq.Context(), 0, ""
    try:
        sequence = Sequence(lambda first: _replay(context, zmq, source.replay_endpoint, first), history)
        subscriber = _subscriber(context, zmq, source)
        with whole_file(out) as temporary, temporary.open("w") as file:
            try:
                for number, payload in _messages(subscriber, seconds):
                    for place, data in (*sequence.after(number), (number, payload)):
                        file.write(line_of(batch_from(decode(data), place), content))
                        written += 1
            except ValueError as error:
                ended = str(error)
            except KeyboardInterrupt:
                ended = "interrupted"
    finally:
        context.destroy(linger=0)
    return Captured(written, sequence.recovered, sequence.missing, ended)


def _libraries() -> tuple[Any, Callable[[bytes], Any]]:
    try:
        import msgspec
        import zmq
    except ImportError as error:
        raise PagedKVError(f"kv-events capture: {error.name} is not installed: pip install pyzmq msgspec") from error

    def decode(payload: bytes) -> Any:
        try:
            return msgspec.msgpack.decode(payload)
        except msgspec.DecodeError as error:
            raise ValueError(f"a message is no batch of events: {error}") from error

    return zmq, decode


def _subscriber(context: Any, zmq: Any, source: Source) -> Any:
    socket = context.socket(zmq.SUB)
    socket.set_hwm(HIGH_WATER_MARK)
    socket.setsockopt(zmq.SUBSCRIBE, source.topic.encode())
    try:
        (socket.bind if "*" in source.endpoint else socket.connect)(source.endpoint)
    except zmq.ZMQError as error:
        raise PagedKVError(f"kv-events capture: {source.endpoint}: {error}") from error
    return socket


def _messages(subscriber: Any, seconds: float) -> Iterator[Message]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if subscriber.poll(1e3 * min(left, POLL_S)):
            yield _message(subscriber.recv_multipart())


def _message(parts: list[bytes]) -> Message:
    if len(parts) < 2 or len(parts[-2]) != SEQUENCE_BYTES:
        raise ValueError(f"a message of {len(parts)} parts is none of vLLM's: topic, sequence number, batch")
    return int.from_bytes(parts[-2], "big"), parts[-1]


def _replay(context: Any, zmq: Any, endpoint: str | None, first: int) -> Iterator[Message]:
    """Messages from number `first` on that the publisher still has; none without an endpoint or an answer."""
    if endpoint is None:
        return
    socket = context.socket(zmq.DEALER)
    try:
        socket.connect(endpoint)
        socket.send_multipart((b"", first.to_bytes(SEQUENCE_BYTES, "big")))
        while socket.poll(1e3 * REPLAY_TIMEOUT_S):
            parts = socket.recv_multipart()
            if parts[-2] == END_OF_REPLAY:
                return
            yield _message(parts)
    except zmq.ZMQError as error:
        raise PagedKVError(f"kv-events capture: {endpoint}: {error}") from error
    finally:
        socket.close(linger=0)
