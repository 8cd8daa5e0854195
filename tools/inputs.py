"""A fingerprint of everything that a chapter's outputs depend on, so that only what changed is executed again.

It is kept in the notebook's metadata and not in a file of its own: it travels with the outputs that it describes, and
two branches that change different chapters do not meet in one file.
"""

import ast
import functools
import json
import re
from pathlib import Path

import nbformat

from tools.pairs import ROOT, digest

PACKAGE = ROOT / "unetbook"
RESULTS = ROOT / "results"


def code(notebook: nbformat.NotebookNode) -> str:
    """Return the code of a notebook as one Python text, without the lines that only IPython understands."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return "\n".join(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE) for source in cells)


def lazy_names() -> dict[str, str]:
    """Return the names that the package imports when they are first asked for, and the modules that have them."""
    for node in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_LAZY":
            return ast.literal_eval(node.value)
    return {}


@functools.cache
def imported_names(text: str, package: str = "") -> frozenset[str]:
    """Return the dotted names that Python text imports, and those that it takes from the package, as ``unetbook.load``.

    ``package`` is where relative imports start.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:  # running the chapter says where
        return frozenset()
    names, known_as = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name and (alias.name == PACKAGE.name or not alias.asname):
                    known_as.add(alias.asname or PACKAGE.name)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in known_as:
            names.add(f"{PACKAGE.name}.{node.attr}")
    return frozenset(names)


def imported_files(text: str, package: str = "") -> set[Path]:
    """Return the files of ``unetbook`` that Python text imports; ``package`` is where its relative imports start.

    Names that the package imports when they are asked for count where the text uses them.
    """
    files, lazy = set(), lazy_names()
    for parts in (name.split(".") for name in imported_names(text, package)):
        if parts[0] == PACKAGE.name:  # importing a.b.c also runs a and a.b
            parts = [parts[0], lazy[parts[1]]] if parts[1:] and parts[1] in lazy else parts
            places = [PACKAGE.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
            files |= {file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))}
    return {file for file in files if file.is_file()}


def dependencies(text: str) -> list[Path]:
    """Return the package's files that Python text runs, directly or through others, in a fixed order."""
    found, waiting = set(), imported_files(text)
    while waiting:
        file = waiting.pop()
        found.add(file)
        package = ".".join(file.parent.relative_to(ROOT).parts)
        waiting |= imported_files(file.read_text(encoding="utf-8"), package) - found
    return sorted(found)


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Return a fingerprint of a chapter's code, of the package's files that it runs and of the result files it reads.

    Prose and alt text are left out, so that mending a typo costs no execution. Result files count where the code
    speaks of them. Paths are relative and line ends are read as one kind: every clone gets the same fingerprint.
    """
    cells = [[cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells if cell.cell_type == "code"]
    text = code(notebook)
    files = dependencies(text)
    files += sorted({style for file in files for style in file.parent.glob("*.mplstyle")})  # figures are drawn with it
    files += [file for file in sorted(RESULTS.rglob("*.json")) if file.stem in text]
    files += [file for file in sorted(RESULTS.glob("*.csv")) if re.sub("-(curves|kinds|swept)$", "", file.stem) in text]
    contents = [f"{file.relative_to(ROOT).as_posix()} {digest(file.read_text(encoding='utf-8'))}" for file in files]
    return digest("\n".join([json.dumps(cells), *contents]))
