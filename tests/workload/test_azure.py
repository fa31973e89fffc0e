"""Azure's CSV: what is read, the window, and every message."""

import numpy as np
import pytest

from pagedkv.errors import PagedKVError
from pagedkv.workload import azure

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
ROWS = [
    "2023-11-16 18:15:46.6805900,374,44",
    "2023-11-16 18:15:50.9951690,396,109",
    "2023-11-16 18:15:50.9951690,879,55",
    "2023-11-16 18:15:56.6805900,91,16",
]


def csv_file(folder, *rows, header=HEADER):
    path = folder / "trace.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")  # as upstream: no newline at the end
    return path


def test_times_count_from_the_first_request(tmp_path):
    table = azure.read(csv_file(tmp_path, *ROWS))
    np.testing.assert_array_equal(table.arrival_s, [0, 4.314579, 4.314579, 10])
    assert table.prompt_tokens.tolist() == [374, 396, 879, 91]
    assert table.output_tokens.tolist() == [44, 109, 55, 16]
    assert table.turn.tolist() == [0] * 4
    assert table.session.tolist() == [0, 1, 2, 3]
    assert table.block_tokens == 0


def test_columns_are_found_by_name(tmp_path):
    swapped = [",".join([row.split(",")[1], row.split(",")[0], row.split(",")[2]]) for row in ROWS]
    path = csv_file(tmp_path, *swapped, header="ContextTokens,TIMESTAMP,GeneratedTokens")
    assert azure.read(path).prompt_tokens.tolist() == [374, 396, 879, 91]


@pytest.mark.parametrize(
    "settings, arrival_s",
    [
        ({"limit": 2}, [0, 4.314579]),
        ({"start_s": 4}, [0.314579, 0.314579, 6]),
        ({"start_s": 4, "duration_s": 6}, [0.314579, 0.314579]),  # the end is outside
        ({"rate_scale": 2, "limit": 3}, [0, 2.15729, 2.15729]),
    ],
)
def test_the_window_is_cut_before_it_is_scaled(tmp_path, settings, arrival_s):
    np.testing.assert_allclose(azure.read(csv_file(tmp_path, *ROWS), **settings).arrival_s, arrival_s, atol=1e-6)


@pytest.mark.parametrize(
    "rows, header, cause",
    [
        ([], "", "column TIMESTAMP is missing"),
        ([], HEADER, "the file has no requests"),
        (ROWS, "TIMESTAMP,ContextTokens,Out", "column GeneratedTokens is missing"),
        ([ROWS[0], "2023-11-16 18:15:50,1"], HEADER, "line 3: 2 fields, must be 3"),
        ([ROWS[0], "yesterday,1,2"], HEADER, "line 3: TIMESTAMP is 'yesterday', must be a time such as"),
        (["2023-13-16 18:15:46,1,2"], HEADER, "line 2: TIMESTAMP is '2023-13-16 18:15:46', must be a time such as"),
        (["NaT,1,2"], HEADER, "line 2: TIMESTAMP is 'NaT', must be a time such as"),
        (["2023-11-16 18:15:46,-5,2"], HEADER, "line 2: ContextTokens is '-5', must be an integer of at least 1"),
        (["2023-11-16 18:15:46,5,0"], HEADER, "line 2: GeneratedTokens is '0', must be an integer of at least 1"),
        (["2023-11-16 18:15:46,5,2.5"], HEADER, "line 2: GeneratedTokens is '2.5', must be an integer of at least 1"),
        (["2023-11-16 18:15:46,9999999999,2"], HEADER, "line 2: ContextTokens is '9999999999', must be an integer"),
        (["2023-11-16 18:15:46,²,2"], HEADER, "line 2: ContextTokens is '²', must be an integer of at least 1"),
        ([ROWS[1], ROWS[0]], HEADER, "line 3: TIMESTAMP is before that of the line above"),
    ],
)
def test_bad_lines_are_named(tmp_path, rows, header, cause):
    path = csv_file(tmp_path, *rows, header=header)
    with pytest.raises(PagedKVError) as error:
        azure.read(path)
    assert str(error.value).startswith(f"{path}: {cause}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text_or_absent_is_named(tmp_path):
    (tmp_path / "trace.csv").write_bytes(b"TIMESTAMP,\xff\xfe")
    for name in ("trace.csv", "none.csv"):
        with pytest.raises(PagedKVError, match=f"{name}: cannot be read: "):
            azure.read(tmp_path / name)


@pytest.mark.parametrize(
    "settings, cause",
    [
        ({"start_s": -1}, "workload: start_s is -1, must be a number above 0"),
        ({"duration_s": 0}, "workload: duration_s is 0, must be a number above 0"),
        ({"rate_scale": 0}, "workload: rate_scale is 0, must be a number above 0"),
        ({"limit": 0}, "workload: limit is 0, must be an integer of at least 1"),
        ({"start_s": 99}, "workload trace: no request falls into the chosen time"),
    ],
)
def test_a_wrong_window_is_named(tmp_path, settings, cause):
    with pytest.raises(PagedKVError) as error:
        azure.read(csv_file(tmp_path, *ROWS), **settings)
    assert str(error.value) == cause
