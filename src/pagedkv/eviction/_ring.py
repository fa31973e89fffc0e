"""Contents in order of arrival, and the hand of a clock that walks over them."""

from __future__ import annotations

import numpy as np

from pagedkv.columns import fitted
from pagedkv.eviction._queue import LEAST_LOOKED_AT, Mask

HOLE = -1


class Ring:
    """A line of contents, the oldest first, with holes where one has left.

    The hand points at the next content to judge. In a `turning` ring it stands still and what it has passed goes to
    the end (CLOCK: new contents come in right behind the hand); otherwise what it has passed stays in its place, and
    behind the newest content the hand goes back to the oldest (SIEVE). `most_credit`: see `sweep`.
    """

    def __init__(self, turning: bool, most_credit: int = 1) -> None:
        self.turning = turning
        self.laps = 1 + most_credit
        """Rounds of the hand after which everything that is judged has been found."""
        self.size = 0
        self._line = np.full(1024, HOLE, np.int64)
        self._place = np.full(0, HOLE, np.int64)
        """Place of each content in the line."""
        self._end = 0
        self._hand = 0

    def append(self, contents: np.ndarray) -> None:
        """`contents` come in as the newest, in order."""
        count = len(contents)
        if count == 0:
            return
        if self._end + count > len(self._line):
            self._close_up(count)
        self._place = fitted(self._place, int(contents.max()), HOLE)
        self._place[contents] = np.arange(self._end, self._end + count)
        self._line[self._end : self._end + count] = contents
        self._end += count
        self.size += count

    def discard(self, contents: np.ndarray) -> None:
        """`contents` leave; those that are not in the ring are ignored."""
        if len(contents) == 0:
            return
        self._place = fitted(self._place, int(contents.max()), HOLE)
        present = contents[self._place[contents] != HOLE]
        self._line[self._place[present]] = HOLE
        self._place[present] = HOLE
        self.size -= len(present)
        while self._end > 0 and self._line[self._end - 1] == HOLE:
            self._end -= 1
        self._settle_hand()

    def sweep(self, count: int, judged: Mask, credit: np.ndarray) -> np.ndarray:
        """Walk until `count` contents are found, or as many as there are.

        A content that `judged` admits pays one of its `credit` (changed in place, at most `most_credit`), or is found
        if it has none left. Others are passed over as they are. What is found stays in the ring.
        """
        found: list[np.ndarray] = []
        missing, walked, most = count, 0, max(LEAST_LOOKED_AT, 2 * count)
        while missing > 0 and walked < self.laps * self.size:
            ahead = self._ahead(min(most, self.laps * self.size - walked))
            candidate = judged(ahead)
            if walked + len(ahead) > self.size and found:
                candidate &= ~np.isin(ahead, np.concatenate(found))
            bankrupt = np.flatnonzero(candidate & (credit[ahead] == 0))[:missing]
            passed = int(bankrupt[-1]) + 1 if len(bankrupt) == missing else len(ahead)
            credit[ahead[:passed][candidate[:passed] & (credit[ahead[:passed]] > 0)]] -= 1
            found.append(ahead[bankrupt])
            missing -= len(bankrupt)
            walked += passed
            self._pass(ahead[:passed])
            most *= 2
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    # ------------------------------------------------------------ the hand
    def _ahead(self, most: int) -> np.ndarray:
        """At most `most` contents from the hand to the newest, at least one. The ring is not empty."""
        while True:
            window = self._line[self._hand : min(self._hand + most, self._end)]
            contents = window[window != HOLE]
            if len(contents):
                return contents
            self._hand += len(window)
            self._settle_hand()

    def _pass(self, contents: np.ndarray) -> None:
        """The hand goes behind `contents`, the next ones."""
        if self.turning:
            self._hand = int(self._place[contents[-1]]) + 1
            self._line[self._place[contents]] = HOLE
            self.size -= len(contents)
            self.append(contents)
        else:
            self._hand = int(self._place[contents[-1]]) + 1
            self._settle_hand()

    def _settle_hand(self) -> None:
        if self._hand >= self._end:
            self._hand = 0

    def _close_up(self, room: int) -> None:
        """Close the holes, and leave room for at least as many contents as there are."""
        line = self._line[: self._end]
        self._hand = int((line[: self._hand] != HOLE).sum())
        contents = line[line != HOLE]
        self._line = np.full(max(1024, 2 * (len(contents) + room)), HOLE, np.int64)
        self._line[: len(contents)] = contents
        self._place[contents] = np.arange(len(contents))
        self._end = len(contents)
