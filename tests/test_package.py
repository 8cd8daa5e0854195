"""How the package is put together: who may import whom, no backend by name, everything installed."""

import ast
import tomllib

import pytest

from benchmarks import __main__ as benchmarks
from tools.inputs import PACKAGE, imported_files
from tools.pairs import ROOT

FLOORS = [
    {"sizes", "labels", "weightmap", "losses", "metrics", "scores", "contract", "normalize", "drafts", "results"},
    {
        "augment",
        "nets",
        "geometry",
        "tiling",
        "instances",
        "store",
        "datasets",
        "averaging",
        "resizing",
        "submission",
        "comparison",
        "choices",
    },
    {"training", "passports", "segmenter"},
    {"application"},
    {"recipes"},
    {"__main__"},
]
ONLY_FOR_READERS = {"show", "exercise"}  # imported by chapters, recipes and __main__
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file):
    """The module or folder directly below the package that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_go_down_the_floors(file):
    package = ".".join(file.parent.relative_to(ROOT).parts)
    text = file.read_text(encoding="utf-8")
    used = {room(found) for found in imported_files(text, package)} - {"__init__", room(file)}
    known = set().union(*FLOORS) | ONLY_FOR_READERS | {"__init__"}
    assert room(file) in known, "give the new module a floor here and in the design"
    if room(file) not in {"recipes", "__main__"} | ONLY_FOR_READERS:
        assert not used & ONLY_FOR_READERS
    if room(file) in ONLY_FOR_READERS | {"__init__"}:
        return
    floor = next(number for number, rooms in enumerate(FLOORS) if room(file) in rooms)
    same = set() if floor == 0 else FLOORS[floor]
    assert used - ONLY_FOR_READERS <= set().union(*FLOORS[:floor], same), f"floor {floor} must not import upward"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_backend_is_imported_by_name(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    assert not names & {"tensorflow", "jax", "torch"}


def test_a_broken_promise_of_speed_is_named():
    kept = {"faster": {"of minima": 36.0}, "promised": 50}
    slow = {"faster": {"of minima": 34.0}, "promised": 50}
    costly = {"share": {"median": 0.2}, "at_most": 0.1}
    assert benchmarks.broken({"a": kept, "b": {"seconds": 3}}, "x") == []
    assert [problem.split(":")[0] for problem in benchmarks.broken({"a": slow, "b": [kept], "c": costly}, "x")] == [
        "x a",
        "x c",
    ]


def test_every_folder_is_installed_and_the_results_with_them():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {".".join(file.parent.relative_to(ROOT).parts) for file in PACKAGE.rglob("__init__.py")}
    assert set(listed) == there | {"unetbook._results"}
