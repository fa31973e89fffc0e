"""Columns in both forms: what is packed is unpacked; broken bytes and a missing pyarrow are said in one line."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pagedkv import storage

DTYPES = (np.int8, np.int32, np.int64, np.float64)


@pytest.fixture
def without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)


@st.composite
def columns(draw):
    rows = draw(st.integers(0, 20))
    return {f"c{i}": draw(arrays(draw(st.sampled_from(DTYPES)), rows)) for i in range(draw(st.integers(1, 4)))}


@pytest.mark.parametrize("form", storage.FORMS)
@given(columns())
def test_round_trip_and_equal_columns_are_equal_bytes(form, made):
    data = storage.pack(made, form)
    assert storage.form_of(data) == form
    assert storage.pack({name: values.copy() for name, values in made.items()}, form) == data
    back = storage.unpack(data, form)
    assert list(back) == list(made)
    for name, values in made.items():
        assert back[name].dtype == values.dtype
        np.testing.assert_array_equal(back[name], values)


@pytest.mark.parametrize("form", storage.FORMS)
def test_bytes_that_are_cut_or_something_else_are_one_line(form):
    data = storage.pack({"a": np.arange(1000), "b": np.linspace(0, 1, 1000)}, form)
    for wrong in (b"", b"PK\x03\x04", b"PAR1", b"hello", data[:40], data[: len(data) // 2], data[:-1]):
        with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is whatever the reader says
            storage.unpack(wrong, form)
        assert str(error.value) and "\n" not in str(error.value)


def test_python_objects_are_not_unpacked():
    """An npz may hold pickles, which run code when they are read."""
    data = storage.pack({"a": np.array([{"any": "object"}], dtype=object)}, storage.NPZ)
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.unpack(data, storage.NPZ)


def test_the_usual_form_is_parquet_where_pyarrow_is():
    assert storage.usual_form() == storage.PARQUET


def test_without_pyarrow_it_is_numpys_and_parquet_is_refused(without_pyarrow):
    assert storage.usual_form() == storage.NPZ
    with pytest.raises(ValueError, match="pyarrow is not installed"):
        storage.unpack(b"PAR1", storage.PARQUET)


def test_a_frame_is_read_as_it_was_written_and_no_thread_of_arrow_is_started(tmp_path):
    """Its pools of threads aborted a process whose work was done, once in sixty."""
    import subprocess

    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, float("nan")], "d": [True, False]})
    path = tmp_path / "frame.parquet"
    frame.to_parquet(path, index=False)
    pd.testing.assert_frame_equal(storage.read_frame(path), pd.read_parquet(path))
    code = (
        "import os, sys, pandas, pyarrow.parquet\n"
        "from pagedkv.storage import read_frame\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "read_frame(sys.argv[1])\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_what_is_no_parquet_is_a_value_error(tmp_path):
    (tmp_path / "broken").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="Parquet"):
        storage.read_frame(tmp_path / "broken")
