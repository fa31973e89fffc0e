"""Public traces: found in a local folder or downloaded, and always verified.

The catalogue is `sources:` in config.yaml: name -> {file, url, sha256, licence, reader}, and where needed
`sha256_content` (see `content_sha256`: the upstream copy is packed otherwise), `options` (settings of the reader) and
`by_hand` (how to make the file where no single download exists).
"""

import hashlib
import http.client
import lzma
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, unpacked

_TIMEOUT_S = 60


def default_data_dir() -> Path:
    """Where public traces are looked for: $PAGEDKV_DATA, or ./data."""
    return Path(os.environ.get("PAGEDKV_DATA") or "data")


def fetch(name: str, spec: Mapping[str, Any], data_dir: str | Path, download: bool = True) -> Path:
    """Path of the verified file of source `name`.

    Looked for in `data_dir` and its subfolders, packed or unpacked; otherwise downloaded into `data_dir`. Raises
    PagedKVError that says what failed and where to put the file by hand; a file that fails is not kept.
    """
    missing = [key for key in ("file", "url", "sha256") if not spec.get(key)]
    if missing:
        raise PagedKVError(f"source {name}: {missing[0]} is missing in the catalogue of sources")
    folder = Path(data_dir)
    for path in _places(folder, spec["file"]):
        verify(name, spec, path)
        return path
    by_hand = f"put {spec['file']} into {folder} by hand"
    if spec.get("by_hand"):
        raise PagedKVError(f"source {name}: no single download exists: {by_hand}: {spec['by_hand']} ({spec['url']})")
    if not download:
        raise PagedKVError(f"source {name}: not in {folder} and downloads are off: {by_hand} (from {spec['url']})")
    return _download(name, spec, folder, by_hand)


def content_sha256(path: str | Path) -> str:
    """SHA-256 of what a file holds, however it is packed.

    Of a tar archive: of the sorted lines `NAME SHA256`, one a file, names without folders. Of a gzip file: of the
    unpacked bytes. Of any other: of the bytes. Raises PagedKVError when the file is truncated.
    """
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path, "r|*") as archive:
                lines = [
                    f"{Path(member.name).name} {_digest(archive.extractfile(member))}\n"
                    for member in archive
                    if member.isfile()
                ]
            return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
        with Path(path).open("rb") as raw:
            return _digest(unpacked(raw))
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise PagedKVError(f"{path}: cannot be read: {error}") from error


def _digest(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _places(folder: Path, file: str) -> list[Path]:
    """Where the file lies: in the folder, then one folder below; as named, then without `.gz`."""
    names = [file, file.removesuffix(".gz")] if file.endswith(".gz") else [file]
    below = [path for name in names for path in [folder / name, *sorted(folder.glob(f"*/{name}"))]]
    return [path for path in below if path.is_file()]


def verify(name: str, spec: Mapping[str, Any], path: str | Path, called: str | None = None) -> bool:
    """Whether the bytes are those of `sha256` (True), or only the content is that of `sha256_content` (False).

    Raises PagedKVError with both hashes when neither holds; it names the file as `called` (by default its path).
    """
    found, expected = sha256_of(path), spec["sha256"]
    if found == expected:
        return True
    if spec.get("sha256_content"):
        found, expected = content_sha256(path), spec["sha256_content"]
        if found == expected:
            return False
    raise PagedKVError(f"source {name}: {called or path}: sha256 is {found}, must be {expected}")


def _download(name: str, spec: Mapping[str, Any], folder: Path, by_hand: str) -> Path:
    """Download to a temporary name, verify, rename. A copy that upstream does not pack is kept without `.gz`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            path = Path(temporary) / "file"
            with urllib.request.urlopen(spec["url"], timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
                shutil.copyfileobj(answer, file)
            as_packed = verify(name, spec, path, spec["url"])
            return path.replace(folder / (spec["file"] if as_packed else spec["file"].removesuffix(".gz")))
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise PagedKVError(f"source {name}: {spec['url']} could not be downloaded: {reason}; {by_hand}") from error
