"""The public traces, where they are at hand."""

from tests.workload.conftest import data_dir, public

__all__ = ["data_dir", "public"]
