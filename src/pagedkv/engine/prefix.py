"""The prefix cache: chain keys to contents."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.requests import PRIVATE


class KeyIntern:
    """Chain keys for blocks of real tokens: equal key ⇔ equal tokens behind equal tokens under equal salt.

    A key is the number of a node in a tree whose edges are labelled with the block's tokens. Look-ups go through a
    hash of (parent, tokens, salt) and compare the whole label, so that a colliding hash cannot join two prefixes;
    this is vLLM's hash chain with the comparison that vLLM leaves out.
    """

    def __init__(self) -> None:
        self._keys: dict[Hashable, int] = {}

    def chain(self, tokens: list[int], block_tokens: int, salt: Hashable = None) -> np.ndarray:
        """Keys of the full blocks of `tokens`, int64."""
        keys, parent = [], -1
        for start in range(0, len(tokens) - block_tokens + 1, block_tokens):
            label = (parent, tuple(tokens[start : start + block_tokens]), salt)
            parent = self._keys.setdefault(label, len(self._keys))
            keys.append(parent)
        return np.asarray(keys, np.int64)


class PrefixCache:
    """Which content, of those that exist on some tier, holds the block of a chain key.

    As in vLLM, equal blocks computed at the same time are not merged: the first one registered is found, and when it
    is lost the next one takes its place.
    """

    def __init__(self) -> None:
        self._content = np.full(1024, -1, np.int64)
        self._key = np.full(1024, PRIVATE, np.int64)
        self._duplicates: dict[int, list[int]] = {}

    def register(self, contents: np.ndarray, keys: np.ndarray) -> None:
        """Full blocks `contents` can be found under `keys` from now on; private ones are skipped."""
        shared = keys >= 0
        if not shared.any():
            return
        contents, keys = contents[shared], keys[shared]
        self._content = fitted(self._content, int(keys.max()))
        self._key = fitted(self._key, int(contents.max()))
        free = self._content[keys] < 0
        self._content[keys[free][::-1]] = contents[free][::-1]  # of equal keys the first one is written last, and stays
        taken = self._content[keys] != contents
        for content, key in zip(contents[taken].tolist(), keys[taken].tolist(), strict=True):
            self._duplicates.setdefault(key, []).append(content)
        self._key[contents] = keys

    def lookup(self, keys: np.ndarray) -> np.ndarray:
        """Contents of the longest prefix of `keys` that is cached."""
        keys = keys[: int(np.argmax(keys < 0))] if (keys < 0).any() else keys
        known = keys < len(self._content)
        found = np.where(known, self._content[np.where(known, keys, 0)], -1)
        missing = found < 0
        return found[: int(np.argmax(missing))] if missing.any() else found

    def forget(self, contents: np.ndarray) -> None:
        """`contents` exist nowhere any more."""
        contents = contents[contents < len(self._key)]
        contents = contents[self._key[contents] >= 0]
        if len(contents) == 0:
            return
        keys = self._key[contents]
        self._key[contents] = PRIVATE
        found = self._content[keys] == contents
        self._content[keys[found]] = -1
        if self._duplicates:
            self._promote(contents.tolist(), keys.tolist())

    def _promote(self, contents: list[int], keys: list[int]) -> None:
        for content, key in zip(contents, keys, strict=True):
            if content in self._duplicates.get(key, ()):
                self._duplicates[key].remove(content)
        # Only now, as the next one in line may be lost as well.
        for key in set(keys):
            waiting = self._duplicates.get(key)
            if waiting is None:
                continue
            if self._content[key] < 0 and waiting:
                self._content[key] = waiting.pop(0)
            if not waiting:
                del self._duplicates[key]
