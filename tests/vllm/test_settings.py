"""Settings of vLLM, and which vLLM there is."""

import os
import sys
from importlib import metadata

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.vllm import found, process
from pagedkv.vllm.settings import VllmSettings, check_engine
from tests.vllm.runs import engine


def test_the_defaults_are_vllm_s_but_for_a_synchronous_scheduler():
    assert VllmSettings.from_config({}) == VllmSettings(False, "none", True, 0)


@pytest.mark.parametrize(
    "section, said",
    [
        ({"ofload": "lru"}, "vllm setting 'ofload' is unknown; known are async_scheduling, "),
        ({"offload": "fifo"}, "vllm: offload is one of none, lru, arc, not 'fifo'"),
    ],
)
def test_what_is_not_understood_is_named(section, said):
    with pytest.raises(PagedKVError, match=said):
        VllmSettings.from_config(section)


@pytest.mark.parametrize(
    "changed, offload, said",
    [
        ({"quantum_steps": 16}, "none", "does not rotate"),
        ({"preemption": "swap"}, "none", "is recomputed"),
        ({"host_blocks": None}, "lru", "needs a number of host_blocks"),
        ({"host_blocks": 0}, "arc", "needs a number of host_blocks"),
    ],
)
def test_what_vllm_cannot_do_is_refused(changed, offload, said):
    with pytest.raises(PagedKVError, match=said):
        check_engine(engine(**changed), VllmSettings(offload=offload))


def test_without_offload_no_host_tier_is_needed():
    check_engine(engine(host_blocks=None), VllmSettings())


def test_where_it_is_missing_the_error_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert found.found() is None
    with pytest.raises(PagedKVError, match=r"not installed.*tools/vllm_env.sh"):
        found.required()


def test_the_version_is_that_of_the_installed_package(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: {"vllm": "9.9"}[name])
    assert found.required() == "9.9" and "9.9" not in found.TRIED


def test_the_process_begins_anew_with_a_fixed_hash_seed(monkeypatch):
    begun = []
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setattr(sys, "argv", ["pagedkv", "record", "--engine", "vllm"])
    monkeypatch.setattr(os, "execv", lambda path, arguments: begun.append((path, arguments)))
    process.hash_seed_fixed()
    assert begun == [(sys.executable, [sys.executable, "-m", "pagedkv", "record", "--engine", "vllm"])]
    assert os.environ["PYTHONHASHSEED"] == process.HASH_SEED
    process.hash_seed_fixed()
    assert len(begun) == 1
