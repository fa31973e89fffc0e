"""Which pieces consecutive prompts of a session share."""

from typing import Any

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.workload.sessions import Turn


class IdSource:
    """Block ids that were never handed out before."""

    def __init__(self, first: int = 0) -> None:
        self.next = first

    def take(self, count: int) -> np.ndarray:
        """`count` new ids; none when `count` is negative."""
        start, self.next = self.next, self.next + max(0, count)
        return np.arange(start, self.next, dtype=np.int64)


def known_turn(pause_s: float, prompt: int, output: int, kept: np.ndarray, ids: IdSource, block_tokens: int) -> Turn:
    """A turn of known prompt and output that begins with the `kept` pieces; every piece behind them is new."""
    pieces = -(-(prompt + output) // block_tokens)
    return Turn(pause_s, prompt, output, prompt + output, np.concatenate([kept, ids.take(pieces - len(kept))]))


def extended(turn: Turn, prompt: int, block_tokens: int) -> np.ndarray:
    """Pieces that the next prompt, of `prompt` tokens, shares when it goes on from `turn`.

    All of them, with the unfinished last one, when the prompt holds the whole of the turn. Otherwise (the answer is
    private, or not all of it was kept) the full pieces of the turn's prompt.
    """
    whole = turn.prompt_tokens + turn.output_tokens
    if prompt >= whole == turn.known_tokens:
        return turn.ids
    return turn.ids[: min(prompt, turn.prompt_tokens) // block_tokens]


def block_ids(where: str, values: list[Any]) -> np.ndarray:
    """The ids of a source's request as int64; PagedKVError naming `where` unless they are integers of at least 0."""
    array = np.array(values if values else [], dtype=None if values else np.int64)
    if array.ndim != 1 or array.dtype.kind != "i" or (len(array) and not 0 <= array.min() <= array.max() < 2**56):
        raise PagedKVError(f"{where}: hash_ids must be integers of at least 0")
    return array.astype(np.int64)
