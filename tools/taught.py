"""Which chapter teaches a function of the package: derived from the code of the chapters, and typed nowhere.

    python -m tools.taught [NAME ...]

Names are those that a chapter writes, as ``weightmap.weight_map``: every public function and class of ``unetbook``, and
the losses that are ready to use. A chapter uses one where a code cell speaks of it. The chapter that teaches it is the
first that shows its source (``show.source``), else the first that calls it, else the first that uses it. Chapters are
read as they stand in their Markdown, and nothing of the package is imported.
"""

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tools import inputs, pairs


class Taught(NamedTuple):
    """The number of the chapter that teaches a name (``None`` where none uses it), and of all that use it, in order."""

    teaches: str | None
    used: tuple[str, ...]


class Uses(NamedTuple):
    """Public names that the code of a chapter shows the source of, calls, and speaks of at all."""

    shown: set[str]
    called: set[str]
    spoken_of: set[str]


def public_names(package: Path = inputs.PACKAGE) -> dict[str, str]:
    """Return each path to a public name, ``unetbook.scores.pixels.dice``, and what a chapter calls it, ``scores.dice``.

    That is the shortest path to where it is defined, or to the ``__init__`` of a folder that passes on what a module in
    it defines, also a private one. Other modules that import the name lead to it too.
    """
    defined, passed_on, imported = set(), {}, {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(f"{module}.{node.name}")
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                names = {target.id for target in node.targets if isinstance(target, ast.Name)}
                defined |= {f"{module}.{name}" for name in names if name.islower()}  # losses.dice = Dice()
            elif isinstance(node, ast.ImportFrom):
                which = passed_on if parts[-1] == "__init__" else imported
                which |= {f"{module}.{one.asname or one.name}": f"{node.module}.{one.name}" for one in node.names}
    imported |= {
        f"{package.name}.{name}": f"{package.name}.{room}.{name}" for name, room in inputs.lazy_names().items()
    }
    paths = {path: path for path in defined}
    for path, behind in (imported | passed_on).items():
        while behind not in defined and behind in passed_on | imported:
            behind = (passed_on | imported)[behind]
        if behind in defined:
            paths.setdefault(path, behind)
    shortest = {}
    for path in sorted(set(paths) & (defined | set(passed_on)), key=lambda path: (path.count("."), path)):
        if not any(part.startswith("_") for part in path.split(".")):
            shortest.setdefault(paths[path], path.removeprefix(f"{package.name}."))
    return {path: shortest[behind] for path, behind in paths.items() if behind in shortest}


def uses(code: str, names: dict[str, str]) -> Uses:
    """Return what the code of a chapter does with public names; ``names`` are those of ``public_names``."""
    tree, known_as = ast.parse(code), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known_as |= {one.asname or one.name.split(".")[0]: one.asname and one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known_as |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}

    def name_of(node):
        """The public name that an expression such as ``scores.dice`` or ``Augmenter.shade`` begins with."""
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in known_as:
            return None
        path = [known_as[node.id] or node.id, *attributes]
        found = (names.get(".".join(path[:end])) for end in range(len(path), 0, -1))
        return next((name for name in found if name), None)

    found = Uses(set(), set(), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            found.spoken_of.add(name_of(node))
        elif isinstance(node, ast.Call):
            found.called.add(name_of(node.func))
            if name_of(node.func) == "show.source":
                found.shown.update(map(name_of, node.args))
    return Uses(*(one - {None} for one in found))


def taught(chapters: dict[str, str], names: dict[str, str]) -> dict[str, Taught]:
    """Return for each public name which chapter teaches it; ``chapters`` is the code of each, by number, in order."""
    found = {number: uses(code, names) for number, code in chapters.items()}
    table = {}
    for name in sorted(set(names.values())):
        shown, called, spoken_of = ([number for number, of in found.items() if name in of[kind]] for kind in range(3))
        table[name] = Taught(next(iter(shown or called or spoken_of), None), tuple(spoken_of))
    return table


def numbered() -> dict[str, str]:
    """Return the code of every chapter that has a number, by number, in order."""
    files = [file for file in pairs.chapters() if re.match(r"\d\d-", file.name) and file.exists()]
    return {file.name[:2]: inputs.code(pairs.read(file)) for file in files}


def main(wanted=()) -> int:
    """Print the table, of all names or of those that are asked for."""
    table = taught(numbered(), public_names())
    unknown = sorted(set(wanted) - set(table))
    print(f"{'name':44} {'taught':8} used in")
    for name in wanted or table:
        if name in table:
            print(f"{name:44} {table[name].teaches or '-':8} {' '.join(table[name].used)}")
    for name in unknown:
        print(f"{name} is no public name of the package", file=sys.stderr)
    return int(bool(unknown))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
