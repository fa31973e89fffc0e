"""Next-N blocks after a fault."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class NextN(PrefetchPolicy):
    """On a trigger at index j of a stream, fetch j+1 .. j+n.

    `trigger`: `miss` (a fault on an absent block) or `tagged` (also the first use of a prefetched block, in flight or
    arrived). One-block lookahead is n=1.

    Level: I0 on physical ids, I1 on logical ones. Cost: O(n) a trigger. State: one tag bit a block, kept by the
    engine. Source: Smith, ACM Computing Surveys 14(3), 1982.
    """

    name = "next_n"
    level = Level.I0
    source = "Smith, ACM Computing Surveys 1982"
    parameters = {"n": 8, "trigger": "tagged"}
    least = {"n": 1}

    n: int
    trigger: str

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.trigger not in ("miss", "tagged"):
            raise PagedKVError(f"next_n: trigger is 'miss' or 'tagged', not '{self.trigger}'")

    @property
    def label(self) -> str:
        return f"next-{self.n} {self.trigger}"

    def propose(self, view: View) -> list[Fetch]:
        seen = view.accesses
        fetches = []
        for stream, index, kind in zip(seen.stream.tolist(), seen.index.tolist(), seen.kind.tolist(), strict=True):
            if kind == FAULT or self.trigger == "tagged":
                fetches.append(Fetch(stream, index + 1, self.n))
        return fetches
