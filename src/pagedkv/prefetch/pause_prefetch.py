"""Fetch back at the pause, as soon as there is room."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Pause, View
from pagedkv.prefetch._resume import ResumePolicy
from pagedkv.prefetch.registry import register


@register
class PausePrefetch(ResumePolicy):
    """Demote a session at its pause; fetch it back as soon as room allows.

    Room is what the running batch does not read and the queue will not read. Sessions are taken in order of their
    pause, and those of which all blocks fit into what is left of it are fetched. `first`: `longest` (pause), or
    `latest`, which suits pauses of which a few are very long.

    Level: I4. Cost: O(queue + paused sessions) a boundary. Source: the early pole of the timings compared in vLLM issue
    57103.
    """

    name = "pause_prefetch"
    level = Level.I4
    source = "vLLM issue 57103"
    parameters = {"first": "longest"}
    choices = {"first": ("longest", "latest")}

    first: str

    def due(self, view: View) -> list[Pause]:
        room = view.capacity_blocks - sum(count for _, _, count in view.reads)
        room -= sum(entry.blocks for entry in view.plan(None))
        back = []
        for pause in view.paused if self.first == "longest" else reversed(view.paused):
            blocks = view.blocks_of(pause.request)
            if blocks <= room:
                room -= blocks
                back.append(pause)
        return back
