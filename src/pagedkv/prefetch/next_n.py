"""Next-N blocks after an access."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, View
from pagedkv.prefetch._reads import ReadCursor
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class NextN(PrefetchPolicy):
    """On a trigger at index j of a stream, fetch j+1 .. j+n.

    `n`: 8 blocks; one-block lookahead is n=1. `trigger`: `miss` (a fault on an absent block), `tagged` (also the first
    use of a prefetched block, in flight or arrived; the default) or `always` (every access, hits included). A run of
    accesses triggers once, for the n blocks behind its end: those inside it have been read themselves.

    Level: I0 on physical ids, I1 on logical ones; with `always` I2. Cost: O(1) a trigger, as a range; with `always`
    O(runs read) a call. State: one tag bit a block, kept by the engine. Source: Smith, ACM Computing Surveys 14(3),
    1982.
    """

    name = "next_n"
    level = Level.I0
    source = "Smith, ACM Computing Surveys 1982"
    parameters = {"n": 8, "trigger": "tagged"}
    least = {"n": 1}
    choices = {"trigger": ("miss", "tagged", "always")}
    reach = "n"

    n: int
    trigger: str

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._cursor: ReadCursor | None = None
        if self.trigger == "always":
            self.level = Level.I2
            self._cursor = ReadCursor()

    @property
    def label(self) -> str:
        return f"next-{self.n} {self.trigger}"

    def propose(self, view: View) -> list[Fetch]:
        if self._cursor is not None:
            return [Fetch(stream, first + count, self.n) for stream, first, count in self._cursor.new(view)]
        seen = view.accesses
        fetches = []
        for stream, index, kind in zip(seen.stream.tolist(), seen.index.tolist(), seen.kind.tolist(), strict=True):
            if kind == FAULT or self.trigger == "tagged":
                fetches.append(Fetch(stream, index + 1, self.n))
        return fetches
