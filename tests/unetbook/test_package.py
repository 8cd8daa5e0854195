"""How the package is put together: who may import whom, no backend by name, everything installed."""

import ast
import graphlib
import tomllib

import pytest

from benchmarks import __main__ as benchmarks
from tools.inputs import PACKAGE, imported_files, imported_names
from tools.pairs import ROOT

FLOORS = [
    {"checks"},
    {"sizes", "labels", "weightmap", "losses", "metrics", "scores", "contract", "statistics", "splits"}
    | {"normalize", "drafts", "results", "kept", "precision", "progress", "memory"},
    {"images"},
    {"nets", "augment", "geometry", "operations", "tiling", "instances", "targets", "datasets"}
    | {"averaging", "resizing", "submission", "comparison", "choices", "naming", "doubts"},
    {"training", "store", "passports", "segmenter"},
    {"outputs", "export"},
    {"application", "project"},
    {"__main__"},
]
ONLY_FOR_READERS = {"show", "exercise"}  # imported by chapters, studies, reports and __main__
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
    if room(file) not in {"__main__", "project"} | ONLY_FOR_READERS:
        assert not used & ONLY_FOR_READERS
    if room(file) in ONLY_FOR_READERS | {"__init__"}:
        return
    floor = next(number for number, rooms in enumerate(FLOORS) if room(file) in rooms)
    assert used - ONLY_FOR_READERS <= set().union(*FLOORS[: floor + 1]), f"floor {floor} must not import upward"


def circle(graph):
    """A circle in a graph {one: those that it imports}, as a list, or nothing."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def imports(file):
    """The files that one file imports; the ``__init__`` of a folder does not count for what lies in it."""
    package = ".".join(file.parent.relative_to(ROOT).parts)
    around = {folder / "__init__.py" for folder in file.parents}
    return imported_files(file.read_text(encoding="utf-8"), package) - around - {file}


def test_imports_run_in_no_circle():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    graph = {file: imports(file) for file in FILES}
    assert [file.relative_to(PACKAGE).as_posix() for file in circle(graph)] == []
    rooms = {}
    for file, used in graph.items():
        rooms.setdefault(room(file), set()).update(set(map(room, used)) - {room(file), "__init__"})
    assert circle(rooms) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_backend_is_imported_by_name(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    assert not names & {"tensorflow", "jax", "torch"}


def test_the_library_imports_nothing_of_ours_but_itself():
    for file in FILES:
        named = {name.split(".")[0] for name in imported_names(file.read_text(encoding="utf-8"))}
        assert not named & {"studies", "tools", "tests", "benchmarks"}, file


def test_the_library_stays_small():
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert max(lines.values()) <= 250
    beside = ("show", "synthetic")  # drawing, of figures and of pictures
    assert sum(count for file, count in lines.items() if not set(beside) & set(file.parts)) <= 10_000


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
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = setuptools["packages"]
    there = {".".join(file.parent.relative_to(ROOT).parts) for file in PACKAGE.rglob("__init__.py")}
    assert set(listed) == there | {"unetbook._results"}
    data = setuptools["package-data"]["unetbook._results"]
    assert {"*.json", "*.csv", "splits/*.json", "weights/*.keras"} == set(data)
