"""What a file of cases may say, and how it is refused."""

import pytest

from pagedkv.conformance.cases import read_cases
from pagedkv.errors import PagedKVError

GOOD = """
class: toy
engine: {pool_blocks: 16, max_num_seqs: 2}
cases:
  - {name: one, why: it is first, requests: [{prompt_tokens: 4, output_tokens: 2}]}
  - {name: two, why: it is second, engine: {pool_blocks: 9}, random: {seed: 1, requests: 3, span_s: 1,
     prompt_tokens: [1, 2], output_tokens: [1, 2]}}
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="toy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_settings_of_the_file_hold_for_all_of_its_cases_unless_one_gives_others(written):
    one, two = read_cases([written(GOOD)])
    assert (one.engine.pool_blocks, two.engine.pool_blocks) == (16, 9)
    assert one.engine.max_num_seqs == two.engine.max_num_seqs == 2
    assert one.group == "toy" and one.exact and one.source is None


def test_the_engine_is_as_vllm_s(written):
    engine = read_cases([written(GOOD)])[0].engine
    assert (engine.host_blocks, engine.preemption, engine.quantum_steps) == (0, "recompute", None)


def test_a_digest_changes_with_what_decides_the_steps_and_with_nothing_else(written):
    one = read_cases([written(GOOD)])[0]
    reworded = read_cases([written(GOOD.replace("it is first", "another reason"))])[0]
    longer = read_cases([written(GOOD.replace("prompt_tokens: 4", "prompt_tokens: 5"))])[0]
    asynchronous = read_cases([written(GOOD.replace("why: it is first", "why: x, async_scheduling: true"))])[0]
    assert reworded.digest == one.digest
    assert len({one.digest, longer.digest, asynchronous.digest}) == 3


def test_a_folder_is_all_of_its_files_in_order(written):
    path = written(GOOD)
    written(GOOD.replace("one", "three").replace("two", "four"), "another.yaml")
    assert [case.name for case in read_cases([path.parent])] == ["three", "four", "one", "two"]


@pytest.mark.parametrize(
    "old,new,cause",
    [
        (
            "prompt_tokens: 4",
            "prompt_tokens: 0",
            "case 'one'.requests.0.prompt_tokens: 0 is less than the minimum",
        ),
        (
            "prompt_tokens: 4",
            "prompt: 4",
            "case 'one'.requests.0: unknown field 'prompt'; known are arrival_s",
        ),
        ("class: toy", "class: Toy!", "class: 'Toy!' does not match"),
        ("why: it is first, ", "", "case 'one': 'why' is a required property"),
        (", requests: [{prompt_tokens: 4, output_tokens: 2}]", "", "case 'one': one of requests, random and workload"),
        ("name: two", "name: one", "case 'one': there are two of this name"),
        ("{pool_blocks: 16, max_num_seqs: 2}", "{max_num_seqs: 2}", "case 'one': engine.pool_blocks is missing"),
        ("class: toy", "class: [", "not YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(written, old, new, cause):
    with pytest.raises(PagedKVError) as error:
        read_cases([written(GOOD.replace(old, new))])
    assert cause in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_does_not_exist_is_named():
    with pytest.raises(PagedKVError, match=r"nowhere\.yaml: there is no such file"):
        read_cases(["nowhere.yaml"])


def test_every_field_is_explained(repository):
    """The README beside the cases names each field that the schema has."""
    import yaml

    schema = yaml.safe_load((repository / "src/pagedkv/conformance/cases.schema.yaml").read_text())
    text = (repository / "tests/conformance/README.md").read_text()
    objects = [schema, *(schema["$defs"][name] for name in ("case", "engine", "request", "random"))]
    fields = {field for part in objects for field in part["properties"]}
    assert not [field for field in sorted(fields) if field not in text]
