"""Every case, ours against vLLM's steps: as they are recorded, and where vLLM is installed as it takes them now."""

import pytest

from pagedkv import config
from pagedkv.conformance.cases import read_cases
from pagedkv.conformance.compare import compare
from pagedkv.conformance.requests import requests_of
from pagedkv.conformance.run import run_ours, run_vllm
from pagedkv.conformance.steps import kept
from pagedkv.conformance.stored import StoredSteps
from pagedkv.errors import PagedKVError
from pagedkv.workload.sources import default_data_dir

CASES = read_cases(["tests/conformance/cases"])
GENERATED = [case for case in CASES if case.source is None]
EXACT = [case for case in GENERATED if case.exact]


@pytest.fixture(scope="module")
def stored(repository):
    return StoredSteps(repository / "recorded/vllm/conformance")


def test_there_are_enough_cases_of_every_kind():
    assert len(EXACT) >= 40
    sources = {case.source for case in CASES} - {None}
    assert sources >= {"azure-conv", "azure-code", "mooncake-conversation", "mooncake-synthetic", "agent-sessions"}
    assert any(case.async_scheduling for case in CASES) and any(case.offload for case in CASES)


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case.name)
def test_our_steps_are_vllm_s(case, stored):
    ours = run_ours(case, requests_of(case, default_data_dir(), {}))
    agreement = compare(kept(ours), stored.steps(case))
    assert agreement.whole == agreement.steps, agreement.difference


@pytest.mark.parametrize("case", [case for case in CASES if case not in EXACT], ids=lambda case: case.name)
def test_what_need_not_agree_or_cannot_be_kept_has_a_row(case, stored):
    """Slices of public traces have to agree; that they did was seen where the traces were."""
    row = stored.row(case)
    assert row["steps"] > 0
    assert row["identical_steps"] == row["steps"] or not case.exact


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in CASES if case.exact], ids=lambda case: case.name)
def test_our_steps_are_those_that_vllm_takes_now(case, at_root):
    try:
        requests = requests_of(case, default_data_dir(), config.load()["sources"])
    except PagedKVError as error:
        pytest.skip(str(error))
    agreement = compare(kept(run_ours(case, requests)), kept(run_vllm(case, requests)))
    assert agreement.whole == agreement.steps, agreement.difference
