"""The table of decode steps: every entry computes what the reference computes."""

import pytest

from pagedkv.model.config import model_config
from pagedkv.model.decoder import Decoder
from pagedkv.model.kernels import tuned
from pagedkv.model.operations import Operations
from pagedkv.model.weights import Weights
from tests.model.build import Paged, prompt
from tests.model.kernels.cases import DEVICE, HALF, error

TINY = model_config("tiny")


def test_entries_are_in_order_and_heads_come_whole():
    assert [entry.rows for entry in tuned.TABLE] == sorted(entry.rows for entry in tuned.TABLE)
    for entry in tuned.TABLE:
        assert entry.gate_up.parts == entry.head.parts == 1


@pytest.mark.parametrize("entry", tuned.TABLE, ids=lambda entry: f"{entry.rows} rows")
def test_steps_are_those_of_the_reference(entry):
    """One step of both prompts, which leaves the entry where it is for few rows, and decodes."""
    weights = Weights.random(TINY, 0, DEVICE, HALF)
    logits = []
    for operations in (tuned.operations((entry,)), Operations.choose("cpu")):
        paged = Paged(Decoder(weights, operations, max_positions=128))
        logits.append([paged.step(a=prompt(20, 100), b=prompt(37, 100)), paged.step(a=[1]), paged.step(a=[2], b=[3])])
    for found, right in zip(*logits, strict=True):
        assert found.dtype == HALF
        assert error(found, right) < 2e-2
