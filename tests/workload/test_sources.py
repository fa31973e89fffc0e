"""Fetching public files: where they are found, how they are verified, what is said when that fails."""

import gzip
import hashlib
import io
import tarfile

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.workload.sources import content_sha256, default_data_dir, fetch

CONTENT = b"a,b\n1,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.fixture
def upstream(tmp_path):
    """A file that can be downloaded without a network, and an empty data folder."""
    path = tmp_path / "far" / "away" / "trace.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


def spec_of(path, **more):
    return {"file": "trace.csv", "url": path.as_uri(), "sha256": SHA256, **more}


def refused(*args, **kwargs) -> str:
    with pytest.raises(PagedKVError) as error:
        fetch(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("place", ["trace.csv", "some-source/trace.csv"])
def test_a_local_file_is_taken_from_the_folder_or_one_below(tmp_path, place):
    path = tmp_path / "data" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    spec = {"file": "trace.csv", "url": "https://invalid.invalid/x", "sha256": SHA256}
    assert fetch("s", spec, tmp_path / "data") == path


def test_a_download_is_verified_and_kept(tmp_path, upstream):
    path = fetch("s", spec_of(upstream), tmp_path / "data")
    assert path == tmp_path / "data" / "trace.csv"
    assert path.read_bytes() == CONTENT
    assert list((tmp_path / "data").iterdir()) == [path]


def test_an_unpacked_download_of_a_packed_file_is_known_by_its_content(tmp_path, upstream):
    spec = spec_of(upstream, file="trace.csv.gz", sha256=hashlib.sha256(PACKED).hexdigest(), sha256_content=SHA256)
    path = fetch("s", spec, tmp_path / "data")
    assert path == tmp_path / "data" / "trace.csv"
    assert fetch("s", spec, tmp_path / "data", download=False) == path
    (tmp_path / "data" / "trace.csv.gz").write_bytes(gzip.compress(CONTENT, compresslevel=1))  # packed otherwise
    assert fetch("s", spec, tmp_path / "data", download=False).name == "trace.csv.gz"


def test_a_wrong_local_hash_names_both(tmp_path, upstream):
    path = tmp_path / "trace.csv"
    path.write_bytes(b"other")
    assert refused("s", spec_of(upstream), tmp_path) == (
        f"source s: {path}: sha256 is {sha256_of(path)}, must be {SHA256}"
    )


def test_a_wrong_download_names_both_and_leaves_nothing(tmp_path, upstream):
    upstream.write_bytes(b"other")
    spec = spec_of(upstream)
    assert refused("s", spec, tmp_path / "data") == (
        f"source s: {spec['url']}: sha256 is {sha256_of(upstream)}, must be {SHA256}"
    )
    assert not list((tmp_path / "data").iterdir())


def test_a_failed_download_names_url_reason_and_where_to_put_the_file(tmp_path, upstream):
    spec = spec_of(upstream)
    upstream.unlink()
    message = refused("s", spec, tmp_path / "data")
    assert message.startswith(f"source s: {spec['url']} could not be downloaded: ")
    assert "No such file" in message
    assert message.endswith(f"; put trace.csv into {tmp_path / 'data'} by hand")
    assert not list((tmp_path / "data").iterdir())


def test_a_url_that_is_none_is_named(tmp_path):
    spec = {"file": "trace.csv", "url": "nonsense", "sha256": SHA256}
    assert "nonsense could not be downloaded: unknown url type" in refused("s", spec, tmp_path)


def test_without_downloads_the_place_is_named(tmp_path, upstream):
    spec = spec_of(upstream)
    assert refused("s", spec, tmp_path, download=False) == (
        f"source s: not in {tmp_path} and downloads are off: put trace.csv into {tmp_path} by hand (from {spec['url']})"
    )


def test_what_must_be_packed_by_hand_is_never_downloaded(tmp_path, upstream):
    spec = spec_of(upstream, by_hand="pack the folder")
    assert refused("s", spec, tmp_path) == (
        f"source s: no single download exists: put trace.csv into {tmp_path} by hand: pack the folder ({spec['url']})"
    )


@pytest.mark.parametrize("key", ["file", "url", "sha256"])
def test_an_incomplete_entry_is_named(tmp_path, upstream, key):
    spec = {name: value for name, value in spec_of(upstream).items() if name != key}
    assert refused("s", spec, tmp_path) == f"source s: {key} is missing in the catalogue of sources"


def test_content_does_not_depend_on_how_a_tar_is_packed(tmp_path):
    digests = set()
    for mode, prefix, names in (("w:xz", "traces/", "ab"), ("w", "", "ba"), ("w:gz", "./x/", "ab")):
        path = tmp_path / f"{mode[2:] or 'tar'}.tar"
        with tarfile.open(path, mode) as archive:
            for name in names:
                member = tarfile.TarInfo(f"{prefix}{name}.json")
                member.size, member.mtime = 1, len(digests)
                archive.addfile(member, io.BytesIO(name.encode()))
        digests.add(content_sha256(path))
    assert len(digests) == 1


def test_a_truncated_local_file_is_named(tmp_path, upstream):
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(PACKED[:-9])
    spec = spec_of(upstream, file="trace.csv.gz", sha256_content=SHA256)
    assert refused("s", spec, tmp_path).startswith(f"{path}: cannot be read: ")


def test_the_data_folder_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PAGEDKV_DATA", "/somewhere")
    assert default_data_dir().as_posix() == "/somewhere"
    monkeypatch.delenv("PAGEDKV_DATA")
    assert default_data_dir().as_posix() == "data"
