"""Two runs beside each other: every kind of difference is found, and named where it begins."""

import numpy as np
import pytest

from pagedkv.conformance.compare import compare
from pagedkv.conformance.steps import aspects, kept
from tests.engine.build import record, table

REQUESTS = [{"prompt": 40, "output": 40, "ids": [1, 2]}] * 3 + [{"prompt": 40, "output": 4, "ids": [1, 2], "at": 0.3}]


@pytest.fixture(scope="module")
def said():
    trace, _ = record(table(REQUESTS), settings={"host_blocks": 0, "preemption": "recompute", "pool_blocks": 10})
    return kept(trace)


def changed(said, name, column, row, by=1):
    values = said[name][column].copy()
    values[row] += by
    return {**said, name: {**said[name], column: values}}


def test_a_run_agrees_with_itself_in_everything(said):
    agreement = compare(said, said)
    assert agreement.steps == agreement.whole == len(said["steps"]["step"])
    assert set(agreement.identical.values()) == {agreement.steps} and agreement.difference == ""
    assert all(len(rows.step) for rows in aspects(said).values()), "an aspect of which nothing is said"


@pytest.mark.parametrize(
    "name,column,row,aspect",
    [
        ("reads", "scheduled_tokens", 0, "batch"),
        ("reads", "computed_tokens", -1, "computed"),
        ("tables", "first_slot", -1, "blocks"),
        ("steps", "start_us", 5, "times"),
    ],
)
def test_what_differs_is_counted_in_its_aspect(said, name, column, row, aspect):
    agreement = compare(said, changed(said, name, column, row))
    assert agreement.identical[aspect] < agreement.steps
    assert agreement.whole < agreement.steps and agreement.difference


def test_the_first_difference_is_said_in_a_line(said):
    row = int(np.argmax(said["tables"]["step"] > 0))
    step, request, block, slot = (
        int(said["tables"][name][row]) for name in ("step", "request", "first_block", "first_slot")
    )
    agreement = compare(said, changed(said, "tables", "first_slot", row, by=100))
    said_of_ours = f"step {step}: blocks: request {request}, block {block}, slot {slot}; vLLM: "
    assert agreement.difference.startswith(said_of_ours)
    assert agreement.difference.endswith(f"slot {slot + 100}")


def test_a_run_that_ends_earlier_differs_in_every_step_that_it_lacks(said):
    steps = len(said["steps"]["step"])
    shorter = {
        name: {column: values[columns["step"] < steps - 2] for column, values in columns.items()}
        for name, columns in said.items()
        if name != "reads"
    }
    shorter["reads"] = said["reads"]
    agreement = compare(said, shorter)
    assert agreement.steps == steps and agreement.identical["times"] == steps - 2


def test_order_within_a_batch_counts(said):
    swapped = dict(said["reads"])
    swapped["rank"] = swapped["rank"].max() - swapped["rank"]
    agreement = compare(said, {**said, "reads": swapped})
    assert agreement.identical["batch"] < agreement.steps


def test_victims_are_the_blocks_that_lose_their_slots(said):
    """Two requests of six blocks that share nothing, in seven slots; a step takes four blocks."""
    requests = table([{"prompt": 90, "output": 2}, {"prompt": 90, "output": 2, "at": 0.5}])
    trace, _ = record(requests, settings={"host_blocks": 0, "preemption": "recompute", "pool_blocks": 8})
    victims = aspects(kept(trace))["victims"]
    # The partial sixth block goes first, then a slot that was never used, then the others from the last one on.
    assert victims.values.tolist() == [[0, 3], [0, 4], [0, 5], [0, 1], [0, 2]]
    assert np.diff(victims.step).tolist() == [0, 0, 1, 0]
