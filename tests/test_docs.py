"""The documents name what there is: files, claims, figures, verbs."""

import re

import pytest
import yaml

from pagedkv.paper.figures import names
from pagedkv.trace.schema import TABLES

DOCUMENTS = ("README.md", "docs/architecture.md", "docs/add-a-policy.md", "docs/kv-events.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(repository, document):
    path = repository / document
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", path.read_text())
    assert not [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_the_readme_lists_every_claim_with_a_figure_or_table_that_is_made(repository):
    text = (repository / "README.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (figure|table) `(\w+)` \|", text, re.MULTILINE)
    claims = yaml.safe_load((repository / "report/claims.yaml").read_text())["claims"]
    assert [claim for claim, _, _ in rows] == [claim["id"] for claim in claims]
    tables = re.findall(r'"(\w+)": \w+\(', (repository / "src/pagedkv/paper/tables.py").read_text())
    assert {name for _, kind, name in rows if kind == "figure"} <= set(names())
    assert {name for _, kind, name in rows if kind == "table"} <= set(tables)


def test_modules_that_the_architecture_names_exist_and_none_of_these_folders_is_left_out(repository):
    text = (repository / "docs/architecture.md").read_text()
    package = repository / "src/pagedkv"
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    assert not [name for name in named if not (package / name).exists() and not (repository / name).exists()]
    for folder in ("engine", "metric", "trace", "device", "model", "fidelity"):
        there = {f"{folder}/{path.name}" for path in (package / folder).glob("*.py")} - {f"{folder}/__init__.py"}
        assert there <= named, there - named


def test_the_architecture_lists_the_columns_of_a_trace(repository):
    text = (repository / "docs/architecture.md").read_text()
    for table, columns in TABLES.items():
        (listed,) = re.findall(rf"^\| {table} \| ([^|]+) \|", text, re.MULTILINE)
        assert set(listed.split(", ")) == set(columns), table


def test_the_configuration_of_the_readme_is_accepted(repository, monkeypatch):
    from pagedkv import config

    monkeypatch.chdir(repository)
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", (repository / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    merged = config.load()
    config._merge(merged, yaml.safe_load(text))
    config.check(merged)
    assert config.replay_settings(merged, "mine")["replay"]["policies"][1]["prefetch"] == "next_n"


def test_the_scenarios_to_ship_are_those_of_the_real_input(repository):
    (shipped,) = re.findall(r"--scenarios ([\w ]+?) --out", (repository / "README.md").read_text().replace("\\\n", ""))
    real = yaml.safe_load((repository / "config/real.yaml").read_text())["scenarios"]
    assert shipped.split() == [name for name, scenario in real.items() if scenario]
