"""What a rule declares as its code: everything that the module imports, and nothing else."""

import re

import pytest

from pagedkv import imports


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of pagedkv; returns a function that gives the files behind some roots."""
    files = {
        "__init__.py": "",
        "errors.py": "",
        "drawing/__init__.py": "",
        "drawing/style.py": "import os\nfrom pagedkv.errors import Wrong\n",
        "drawing/one.py": "from pagedkv.drawing import style\n",
        "drawing/two.py": "def late():\n    import pagedkv.tables\n",
        "tables/__init__.py": "",
        "tables/sizes.csv": "a,b\n",
        "rules/__init__.py": "",
        "rules/first.py": "from pagedkv.errors import Wrong\n",
        "engine.py": "POLICIES = Registry('policy', 'pagedkv.rules')\n",
        "unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "pagedkv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(imports, "PACKAGE", tmp_path / "pagedkv")
    monkeypatch.chdir(tmp_path / "pagedkv")
    imports._files.cache_clear()
    imports._needs.cache_clear()
    yield imports.modules
    imports._files.cache_clear()
    imports._needs.cache_clear()


def test_imports_are_followed_with_the_packages_around_them(package):
    assert package("drawing.one") == [
        "__init__.py",
        "drawing/__init__.py",
        "drawing/one.py",
        "drawing/style.py",
        "errors.py",
    ]


def test_an_import_inside_a_function_counts_and_so_does_a_data_file_beside_a_module(package):
    assert package("drawing.two") == [
        "__init__.py",
        "drawing/__init__.py",
        "drawing/two.py",
        "tables/__init__.py",
        "tables/sizes.csv",
    ]


def test_what_is_imported_by_name_has_to_be_a_root(package):
    assert package("engine") == ["__init__.py", "engine.py"]
    assert package("engine", "rules") == [
        "__init__.py",
        "engine.py",
        "errors.py",
        "rules/__init__.py",
        "rules/first.py",
    ]


def test_what_the_package_around_a_module_imports_for_others_does_not_count(package):
    (imports.PACKAGE / "tables/cells.py").write_text("")
    (imports.PACKAGE / "drawing/__init__.py").write_text("from pagedkv.tables import cells\n")
    assert package("drawing.one") == [
        "__init__.py",
        "drawing/__init__.py",
        "drawing/one.py",
        "drawing/style.py",
        "errors.py",
    ]
    assert "tables/cells.py" in package("drawing")


def test_a_root_that_is_a_package_means_all_of_it(package):
    assert "drawing/two.py" in package("drawing")
    assert "unused.py" not in package("drawing", "engine")


def test_a_root_that_does_not_exist_is_an_error(package):
    with pytest.raises(ValueError, match=r"no module pagedkv\.nothing"):
        package("nothing")


def test_a_figure_does_not_depend_on_the_engine_nor_on_another_figure():
    files = "\n".join(imports.modules("paper.figures.timeliness"))
    assert "pagedkv/paper/figures/timeliness.py" in files
    assert "pagedkv/paper/frames.py" in files
    assert "pagedkv/engine/" not in files
    assert "pagedkv/paper/figures/anatomy.py" not in files


def test_workloads_do_not_depend_on_the_engine_nor_the_engine_on_figures():
    assert "pagedkv/engine/" not in "\n".join(imports.modules("workload"))
    assert "pagedkv/paper/" not in "\n".join(imports.modules("engine", "prefetch", "eviction"))


@pytest.mark.parametrize(
    "rule,stage",
    [
        ("workload", "workload/registry"),
        ("record", "engine/record"),
        ("replay", "metric/replay"),
        ("serve", "metric/serve"),
    ],
)
def test_a_rule_declares_the_module_that_does_its_work(repository, monkeypatch, rule, stage):
    """Bug: an edit of metric/replay.py, metric/serve.py or engine/record.py reran nothing."""
    monkeypatch.chdir(repository)
    text = (repository / f"workflow/rules/{rule}.smk").read_text()
    for roots in re.findall(r"code=modules\((.*?)\)", text):
        assert f"src/pagedkv/{stage}.py" in imports.modules(*re.findall(r'"([^"]+)"', roots))
