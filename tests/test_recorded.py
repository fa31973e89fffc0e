"""Files that recorded/ ships: taken as they were recorded, refused when they were changed."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.recorded import commit, vouched, write_provenance


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data"
    path.write_text("measured")
    write_provenance(tmp_path, {"files": {"data": sha256_of(path)}})
    return path


def test_a_file_as_it_was_recorded_is_taken(file):
    assert vouched(file) == file


def test_a_changed_file_is_one_line(file):
    file.write_text("improved")
    with pytest.raises(PagedKVError, match=r"data: does not match the checksum in .*; it was changed after it was rec"):
        vouched(file)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"files": []}', '{"files": {"other": "0"}}'])
def test_a_file_that_nobody_vouches_for_is_one_line(file, text):
    provenance = file.parent / "provenance.json"
    provenance.unlink() if text is None else provenance.write_text(text)
    with pytest.raises(PagedKVError, match=r"provenance\.json: does not vouch for data") as error:
        vouched(file)
    assert "\n" not in str(error.value)


def test_the_commit_is_empty_where_there_is_no_git(tmp_path, at_root, monkeypatch):
    assert set(commit()) == {"commit", "uncommitted_changes"}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() == {"commit": "", "uncommitted_changes": False}
