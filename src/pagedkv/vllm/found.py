"""Which vLLM is there."""

from __future__ import annotations

from importlib import metadata

from pagedkv.errors import PagedKVError

REFERENCE = "0.26.0"
"""The version that recorded traces and conformance are of."""
TRIED = (REFERENCE,)
"""Versions that the recorder's tests ran with. Others are recorded as well, and named in the header as not tried."""


def found() -> str | None:
    """Version of the vLLM that can be imported; None if there is none."""
    try:
        return metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return None


def required() -> str:
    """Version of the vLLM that can be imported; PagedKVError that says how to get one if there is none."""
    version = found()
    if version is None:
        raise PagedKVError(
            "vllm: it is not installed in this environment; tools/vllm_env.sh makes one with it in .vllm, "
            "then: .vllm/bin/python -m pagedkv ..."
        )
    return version
