"""Every bug class has tests that exist, or says why it does not apply."""

import ast

import pytest
import yaml


@pytest.fixture(scope="module")
def classes(repository):
    return yaml.safe_load((repository / "tests/bugs/classes.yaml").read_text())


def functions(path):
    """Names of the test functions of a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_the_list_has_every_class(classes):
    assert list(classes) == list(range(1, 25))


@pytest.mark.parametrize("number", range(1, 25))
def test_a_class_has_tests_or_does_not_apply(classes, repository, number):
    entry = classes[number]
    assert entry["name"]
    if "does_not_apply" in entry:
        assert entry["does_not_apply"] and "tests" not in entry
        return
    assert entry["tests"]
    for test in entry["tests"]:
        file, _, name = test.partition("::")
        assert name in functions(repository / file), f"{test} does not exist"


def test_every_test_of_a_class_is_in_the_list(classes, repository):
    listed = {(number, test) for number, entry in classes.items() for test in entry.get("tests", ())}
    for path in sorted((repository / "tests/bugs").glob("test_*.py")):
        for name in functions(path):
            if name.startswith("test_class_"):
                test = f"{path.relative_to(repository).as_posix()}::{name}"
                assert (int(name.split("_")[2]), test) in listed, f"{test} is missing in classes.yaml"
