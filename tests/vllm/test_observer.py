"""What the observer writes of a scheduler, here one that does what the test says."""

from types import SimpleNamespace

import numpy as np
import pytest

from pagedkv.trace import Event, PlanDelta
from pagedkv.trace.recorder import Recorder
from pagedkv.vllm.observer import Observer
from pagedkv.vllm.seen import Seen
from tests.vllm.fake import FakeScheduler, named, output, result


class Watched:
    """An observer of a fake scheduler, with a clock that the test moves."""

    def __init__(self, slots=20):
        self.now_s = 0.0
        self.scheduler, self.recorder = FakeScheduler(slots), Recorder()
        self.observer = Observer(self.scheduler, self.recorder, lambda: self.now_s, self._identify)

    def _identify(self, request):
        number = int(request.request_id)
        return Seen(number, number, 0, self.now_s, prompt_tokens=20, output_tokens=10)

    def arrive(self, *names):
        for name in names:
            self.scheduler.add_request(named(name))

    def schedule(self, said):
        self.scheduler.script.append(said)
        return self.scheduler.schedule()

    def step(self, said, until_s, *finish, copied=()):
        put_out = self.schedule(said)
        self.now_s = until_s
        self.scheduler.update_from_output(put_out, result(*finish, copied=copied))

    def trace(self):
        return self.recorder.finish({})

    def admit(self, name, blocks=2, tokens=20, done=0):
        """A batch of that request alone, new in it."""
        return lambda: output({name: tokens}, new={name: (done, self.scheduler.blocks(name, blocks))})


def rows(table, *names):
    return list(zip(*(table[name].tolist() for name in names), strict=True))


@pytest.fixture
def watched():
    return Watched()


def test_a_request_from_arrival_to_end(watched):
    watched.arrive("4")
    watched.step(watched.admit("4"), 0.5)
    watched.step(output({"4": 1}, going={"4": (20, [])}), 0.6, "4")
    trace = watched.trace()
    assert rows(trace.events, "step", "time_us", "kind", "request") == [
        (0, 0.0, Event.ARRIVAL, 4),
        (0, 0.0, Event.ADMIT, 4),
        (2, 0.6e6, Event.FINISH, 4),
    ]
    assert rows(trace.plans, "step", "kind") == [(0, PlanDelta.QUEUE_BACK), (0, PlanDelta.LEAVE_QUEUE)]
    assert rows(trace.reads, "step", "steps", "request", "blocks", "computed_tokens", "scheduled_tokens") == [
        (0, 1, 4, 2, 0, 20),
        (1, 1, 4, 2, 20, 1),
    ]
    assert rows(trace.tables, "step", "request", "first_block", "blocks", "first_slot", "first_content") == [
        (0, 4, 0, 2, 1, 0)
    ]
    assert rows(trace.requests, "request", "prompt_tokens", "hit_tokens") == [(4, 20, 0)]
    assert watched.observer.finished == 1


def test_a_hit_is_the_same_content_and_growth_a_new_one(watched):
    watched.arrive("0", "1")
    watched.step(watched.admit("0"), 0.1, "0")
    hit = lambda: output({"1": 4}, new={"1": (16, [1, *watched.scheduler.blocks("1", 1)])})  # noqa: E731
    watched.step(hit, 0.2)
    watched.step(lambda: output({"1": 16}, going={"1": (20, watched.scheduler.blocks("1", 1))}), 0.3)
    trace = watched.trace()
    assert rows(trace.tables, "request", "first_block", "first_slot", "first_content") == [
        (0, 0, 1, 0),
        (1, 0, 1, 0),
        (1, 1, 3, 2),
        (1, 2, 4, 3),
    ]
    admitted = trace.events["kind"] == Event.ADMIT
    assert trace.events["value"][admitted].tolist() == [0, 16]
    assert watched.observer.contents.named == 4


def test_the_last_to_give_way_stands_first_and_each_joins_with_a_new_rank(watched):
    watched.arrive("0", "1", "2")
    slots = {name: watched.scheduler.blocks(name, 2) for name in "012"}
    watched.step(output(dict.fromkeys("012", 20), new={name: (0, slots[name]) for name in "012"}), 0.1)

    def giving_way():
        watched.scheduler.waiting = [named("1"), named("2")]
        return output({"0": 1}, going={"0": (20, [])}, preempted=("1", "2"))

    watched.step(giving_way, 0.2)
    watched.step(output({"0": 1, "1": 21}, new={"1": (0, [5, 6])}, going={"0": (21, [])}), 0.3)
    trace = watched.trace()
    named_kinds = [
        (Event(kind).name, request, value) for kind, request, value in rows(trace.events, "kind", "request", "value")
    ]
    assert named_kinds[6:] == [("PREEMPT", 2, 20), ("PREEMPT", 1, 20), ("RESUME", 1, 0)]
    fronts = trace.plans["request"][trace.plans["kind"] == PlanDelta.QUEUE_FRONT]
    assert fronts.tolist() == [2, 1]
    assert rows(trace.reads, "step", "request", "rank")[-1] == (2, 1, 3)
    assert watched.observer.preemptions == 2


def test_evictions_name_the_content_and_for_whom(watched):
    watched.arrive("0", "1")
    watched.step(watched.admit("0"), 0.1, "0")
    pool = watched.scheduler.kv_cache_manager.block_pool
    pool.free, pool.cached = [2, 1, *pool.free], {1, 2}
    watched.step(watched.admit("1", blocks=3), 0.2)
    evicted = [
        row[1:] for row in rows(watched.trace().events, "kind", "step", "request", "value") if row[0] == Event.EVICT
    ]
    assert evicted == [(1, 1, 1), (1, 1, 0)]


def copies(stores=(), loads=()):
    """Metadata of the connector: (job, request, GPU slots, host slots)."""

    def entries(rows, stored):
        jobs = {}
        for job, name, *blocks in rows:
            gpu, cpu = (SimpleNamespace(block_ids=np.array(slots)) for slots in blocks)
            source, target = (gpu, cpu) if stored else (cpu, gpu)
            jobs[job] = SimpleNamespace(req_id=name, src_spec=source, dst_spec=target)
        return jobs

    return SimpleNamespace(store_jobs=entries(stores, True), load_jobs=entries(loads, False))


def test_what_is_loaded_is_what_was_stored(watched):
    watched.arrive("0", "1")
    slots = watched.scheduler.blocks("0", 2)
    watched.step(
        output({"0": 20}, new={"0": (0, slots)}, copies=copies(stores=[(8, "0", [1], [70])])), 0.1, copied=(8,)
    )
    load = lambda: output({}, copies=copies(loads=[(9, "1", watched.scheduler.blocks("1", 1), [70])]))  # noqa: E731
    watched.step(load, 0.2)
    watched.step(output({"0": 1}, going={"0": (20, [])}), 0.3, copied=(9,))
    watched.step(
        output({"0": 1, "1": 4}, new={"1": (16, [3, *watched.scheduler.blocks("1", 1)])}, going={"0": (21, [])}), 0.4
    )
    trace = watched.trace()
    assert rows(trace.transfers, "job", "direction", "first_content", "blocks", "seen_step") == [
        (8, 1, 0, 1, 1),
        (9, 0, 0, 1, 2),
    ]
    jobs = [row[1:] for row in rows(trace.events, "kind", "request", "value") if row[0] in (Event.LOAD, Event.STORE)]
    assert jobs == [(0, 8), (1, 9)]
    assert rows(trace.tables, "request", "first_slot", "first_content")[1:] == [(1, 3, 0), (1, 4, 2)]


def test_copies_whose_times_nobody_knows_last_from_request_to_notice(watched):
    watched.arrive("0")
    slots = watched.scheduler.blocks("0", 1)
    watched.step(output({"0": 16}, new={"0": (0, slots)}, copies=copies(stores=[(8, "0", [1], [70])])), 0.1)
    watched.step(output({"0": 1}, going={"0": (16, [2])}), 0.25, copied=(8,))
    assert rows(watched.trace().transfers, "issue_us", "start_us", "done_us") == [(0.0, 0.0, 0.25e6)]


def test_copies_whose_times_somebody_knows_have_those(watched):
    watched.arrive("0")
    slots = watched.scheduler.blocks("0", 1)
    put_out = watched.schedule(output({"0": 16}, new={"0": (0, slots)}, copies=copies(stores=[(8, "0", [1], [70])])))
    watched.observer.moved(8, 0.05, np.array([0.07]))
    watched.now_s = 0.1
    watched.scheduler.update_from_output(put_out, result(copied=(8,)))
    assert rows(watched.trace().transfers, "start_us", "done_us") == [pytest.approx((0.05e6, 0.07e6))]


@pytest.mark.parametrize("names", ["1", ["1"], None])
def test_who_is_given_up_is_told_before_the_scheduler_hears_of_it(watched, names):
    watched.arrive("0", "1")
    watched.step(watched.admit("0"), 0.1, *(() if names else ("0",)))
    watched.scheduler.finish_requests(names, "aborted")
    trace = watched.trace()
    assert rows(trace.events, "step", "kind", "request", "value")[-1] == (1, Event.ABORT, 1, 0)
    assert rows(trace.plans, "kind", "request")[-1] == (PlanDelta.LEAVE_QUEUE, 1)
    assert watched.scheduler.finished == [(names, "aborted")] and watched.observer.aborts == 1


def test_who_is_given_up_while_it_runs_does_not_leave_the_queue_twice(watched):
    watched.arrive("0")
    watched.step(watched.admit("0"), 0.1)
    watched.scheduler.finish_requests("0", "aborted")
    watched.scheduler.finish_requests("0", "aborted")
    trace = watched.trace()
    assert trace.plans["kind"].tolist() == [PlanDelta.QUEUE_BACK, PlanDelta.LEAVE_QUEUE]
    assert rows(trace.events, "kind", "value")[-1] == (Event.ABORT, 20) and watched.observer.aborts == 1


def times(watched):
    """(start, stall, compute, idle) of each step, in milliseconds."""
    return [pytest.approx([us / 1e3 for us in row], abs=1e-6) for row in rows(watched.trace().steps, *COLUMNS)]


COLUMNS = ("start_us", "stall_us", "compute_us", "idle_us")


def test_by_the_clock_a_step_lasts_from_the_end_of_the_one_before(watched):
    watched.arrive("0")
    watched.step(watched.admit("0"), 0.010)
    watched.now_s = 0.012  # the host takes its time
    watched.step(output({"0": 1}, going={"0": (20, [])}), 0.015)
    assert times(watched) == [(0, 0, 10, 0), (10, 0, 5, 0)]


def test_by_the_clock_time_without_a_request_is_idle(watched):
    watched.now_s = 0.004
    watched.arrive("0")
    watched.step(watched.admit("0"), 0.010, "0")
    watched.now_s = 0.030
    watched.arrive("1")
    watched.step(watched.admit("1"), 0.035)
    assert times(watched) == [(4, 0, 6, 4), (30, 0, 5, 20)]


def test_by_the_clock_time_in_which_no_request_can_run_is_a_stall(watched):
    watched.arrive("0")
    watched.step(output({}), 0.003)
    watched.step(output({}), 0.007)
    watched.step(watched.admit("0"), 0.010)
    watched.step(output({"0": 1}, going={"0": (20, [])}), 0.012)
    assert times(watched) == [(0, 7, 3, 0), (10, 0, 2, 0)]


def test_steps_that_are_scheduled_ahead_start_when_the_one_before_ends(watched):
    watched.arrive("0")
    first = watched.schedule(watched.admit("0"))
    second = watched.schedule(output({"0": 1}, going={"0": (20, [])}))
    for put_out, until_s in ((first, 0.010), (second, 0.014)):
        watched.now_s = until_s
        watched.scheduler.update_from_output(put_out, result())
    assert times(watched) == [(0, 0, 10, 0), (10, 0, 4, 0)]


def test_the_largest_read_set_is_what_the_pool_has_given_out():
    watched = Watched(slots=10)
    watched.arrive("0", "1")
    watched.step(watched.admit("0", blocks=2), 0.1)
    watched.step(watched.admit("1", blocks=3), 0.2)
    header = watched.trace().header
    assert (header["largest_read_set_blocks"], header["peak_live_blocks"]) == (5, 5)
