"""Whether there is a GPU: what nvidia-smi answers, for the device that torch would take."""

import pytest

from pagedkv.device import present


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Puts an nvidia-smi first on the PATH, which runs these lines of shell."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    present.gpu_memory_bytes.cache_clear()

    def write(body):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    yield write
    present.gpu_memory_bytes.cache_clear()


@pytest.mark.parametrize(
    "visible, gib",
    [(None, 140), ("0", 140), ("1,0", 80), ("7", 0), ("", 0), ("-1", 0), ("GPU-5f1", 140)],
)
def test_the_memory_of_the_first_visible_device(answer, monkeypatch, visible, gib):
    answer("echo 143360; echo 81920")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert present.gpu_memory_bytes() == gib * 2**30


@pytest.mark.parametrize("body", ["echo 'NVIDIA-SMI has failed'; exit 9", "echo '[N/A]'", "exit 0", "exec /nowhere"])
def test_a_driver_that_does_not_answer_is_no_device(answer, body):
    answer(body)
    assert present.gpu_memory_bytes() == 0


def test_without_torch_there_is_nothing_to_drive_it(answer, monkeypatch):
    answer("echo 143360")
    monkeypatch.setattr(present, "find_spec", lambda name: None)
    assert present.gpu_memory_bytes() == 0
