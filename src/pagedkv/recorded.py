"""What recorded/ ships: files that a provenance.json beside them vouches for, by SHA-256."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file

PROVENANCE = "provenance.json"


def vouched(path: str | Path) -> Path:
    """`path` itself, if the provenance beside it names the SHA-256 that it has; else PagedKVError."""
    path = Path(path)
    sums = path.parent / PROVENANCE
    try:
        expected = json.loads(sums.read_text())["files"][path.name]
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise PagedKVError(f"{sums}: does not vouch for {path.name}: {error}") from error
    if sha256_of(path) != expected:
        raise PagedKVError(f"{path}: does not match the checksum in {sums}; it was changed after it was recorded")
    return path


def write_provenance(folder: str | Path, provenance: dict[str, Any]) -> None:
    """Write provenance.json, whose `files` must map names to SHA-256. Equal content is equal bytes."""
    with whole_file(Path(folder) / PROVENANCE) as temporary:
        temporary.write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n")


def commit() -> dict[str, Any]:
    """The commit of the current folder, and whether tracked files differ from it; empty where git does not know it."""
    return {"commit": _git("rev-parse", "HEAD"), "uncommitted_changes": bool(_git("status", "--porcelain", "-uno"))}


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
