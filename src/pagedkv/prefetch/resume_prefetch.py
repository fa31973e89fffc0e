"""Fetch when the tool has answered."""

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Pause, View
from pagedkv.prefetch._resume import ResumePolicy
from pagedkv.prefetch.registry import register


@register
class ResumePrefetch(ResumePolicy):
    """Demote a session at its pause; fetch it back when its next turn enters the queue.

    No room is held for a paused session. A turn that is admitted where it arrives has no time to be fetched in.

    Level: I4. Cost: O(queue + paused sessions) a boundary. Source: the late pole of the timings compared in vLLM issue
    57103 and SGLang's agent hints (issue 27574).
    """

    name = "resume_prefetch"
    level = Level.I4
    source = "vLLM issue 57103; SGLang issue 27574"

    def due(self, view: View) -> list[Pause]:
        return []
