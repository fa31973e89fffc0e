"""What vLLM itself publishes is read without loss. Run by vLLM's Python: `python -m pytest -m vllm tests/vllm`."""

import socket
import threading
import time

import pytest

from pagedkv.kv_events.capture import Source, capture
from pagedkv.kv_events.event_log import read_log
from pagedkv.kv_events.events import GPU, AllBlocksCleared, BlockRemoved, BlockStored
from pagedkv.kv_events.residency import Arrival, Residency
from tests.kv_events.scheduler import Engine

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

POOL = 25
"""One of them is vLLM's null block. Each prompt takes up to 9, so that three prompts do not fit."""


def free_ports(count):
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def prompts():
    """Six, of 96 to 136 tokens; all begin with the same 32."""
    return [[7] * 32 + [100 + n] * (64 + 8 * n) for n in range(6)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An engine that served six prompts twice and was reset at its end, and what was captured of it. The capture begins
    when the first round is over, so that vLLM's replay has to bring that."""
    folder = tmp_path_factory.mktemp("vllm")
    main, again = free_ports(2)
    engine = Engine(folder, POOL, {"endpoint": f"tcp://*:{main}", "replay_endpoint": f"tcp://*:{again}"})
    done = []

    def listen():
        source = Source(f"tcp://127.0.0.1:{main}", f"tcp://127.0.0.1:{again}")
        done.append(capture(source, 6.0, folder / "log.jsonl", content=True, history=True))

    for n, prompt in enumerate(prompts()):
        engine.add(f"first {n}", prompt, 20)
    steps = engine.run()
    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(1.0)  # a subscriber hears nothing of what is sent before its connection stands
    for n, prompt in enumerate(prompts()):
        engine.add(f"second {n}", prompt, 20)
        steps += engine.run()
    cached = engine.cached()
    assert engine.scheduler.reset_prefix_cache()
    engine.add("last", prompts()[0], 1)
    steps += engine.run()
    thread.join()
    yield engine, done[0], read_log(folder / "log.jsonl"), cached, steps
    engine.scheduler.shutdown()


def test_every_batch_is_captured(served):
    engine, done, log, _, steps = served
    assert steps > 100 and len(engine.published) > 20
    assert (done.batches, done.missing, done.ended) == (len(engine.published), 0, "")
    assert done.recovered > 5, "the first round came by replay"
    assert [batch.seq for batch in log.batches] == list(range(len(engine.published)))
    assert [batch.ts for batch in log.batches] == [batch.ts for batch in engine.published]


def plain(value):
    """A value of vLLM's as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_every_event_is_read_with_all_its_fields(served):
    engine, _, log, _, _ = served
    theirs = [event for batch in engine.published for event in batch.events]
    ours = [event for batch in log.batches for event in batch.events]
    assert len(theirs) == len(ours)
    for their, our in zip(theirs, ours, strict=True):
        assert type(their).__name__ == type(our).__name__
        for name in their.__struct_fields__:
            expected, found = plain(getattr(their, name)), getattr(our, name, None)
            if found is None:
                found = getattr(our, "rest", {}).get(name)
            assert (list(found) if isinstance(found, tuple) else found) == expected, name
    kinds = {type(event) for event in ours}
    assert kinds == {BlockStored, BlockRemoved, AllBlocksCleared}


def test_what_is_resident_is_what_vllms_pool_holds(served):
    _, _, log, cached, _ = served
    batches = list(log.batches)
    end = next(n for n, batch in enumerate(batches) if AllBlocksCleared() in batch.events)
    assert batches[end].events[0] == AllBlocksCleared(), "the reset begins a batch, which comes with the next step"
    found = Residency.of(batches[:end])
    assert {hash_ for _, hash_ in found.tiers[0, GPU].blocks} == cached
    assert found.tiers[0, GPU].removed_unseen == 0
    assert 0 < found.tiers[0, GPU].peak <= POOL - 1


def test_what_comes_back_are_the_second_rounds_prompts(served):
    """Block hashes are of content: a prompt whose blocks were driven out stores them again under the same hashes."""
    _, _, log, _, _ = served
    found = Residency.of(log.batches)
    arrivals = [move for move in found.moves if isinstance(move, Arrival)]
    assert sum(int(arrival.came_back.sum()) for arrival in arrivals) > 6
    assert all(arrival.rooted for arrival in arrivals)
    assert not arrivals[-1].came_back.any(), "nothing comes back over a reset"
