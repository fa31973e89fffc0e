"""docs/kv-events.md tells the thresholds, the form of a log and the limits as they are."""

import json
import re

from pagedkv.kv_events import verdict
from pagedkv.kv_events.event_log import line_of
from pagedkv.kv_events.events import batch_from


def test_the_thresholds(repository):
    text = (repository / "docs/kv-events.md").read_text()
    told = {name: float(value) for name, value in re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+) \|", text, re.MULTILINE)}
    there = {name: value for name, value in vars(verdict).items() if isinstance(value, float)}
    assert told == there


def test_the_line_of_a_log_is_one(repository):
    (line,) = re.findall(r"^```json\n(.*\n)```$", (repository / "docs/kv-events.md").read_text(), re.MULTILINE)
    assert line_of(batch_from(json.loads(line))) == line


def test_the_commands_of_the_documents_are_accepted(repository):
    from pagedkv.cli import _parser

    for document in ("README.md", "docs/kv-events.md"):
        text = (repository / document).read_text().replace("\\\n", "")
        commands = re.findall(r"^(?:\./lab )?pagedkv (kv-events .*)$", text, re.MULTILINE)
        assert len(commands) >= 2
        for command in commands:
            assert _parser().parse_args(command.split()).call
