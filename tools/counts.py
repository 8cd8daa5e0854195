"""How long a page is, as a reader meets it: prose, visible code, printed output, checks in the open. DESIGN of a page.

Exercises, their solutions and what is folded do not count. ``tools.pages`` prints the counts of all chapters; those in
``rules.REWRITTEN`` must keep the limits, and the others must not break a limit that they keep today (``OVER``).
"""

import ast
import re
from typing import NamedTuple

import nbformat

from tools import rules

LONGER_CODE = ("02", "05", "10", "12", "16")  # chapters that may show 180 lines instead of 130
FOLDED = {"hide-cell", "remove-cell"}
OF_OTHERS = {"_fields", "_asdict", "_keras_history"}  # of Python's named tuples and of Keras
BOX = re.compile(r"^:::+ *\{(?:dropdown|admonition)\}.*?^:::+ *$", re.DOTALL | re.MULTILINE)
SOLUTION = re.compile(r"^<details>\n<summary>Solution\b.*?^</details> *$", re.DOTALL | re.MULTILINE)  # of a case
WORD = re.compile(r"[^\W\d_][\w'-]*|\d[\d.,]*")


class Counts(NamedTuple):
    """What of a page counts against its limits."""

    words: int  # of prose on the main path
    code: int  # visible lines
    output: int  # words printed in the open
    open_checks: int  # cells with checks that are not folded
    private: int  # private names of the package
    boxes: int  # folded boxes
    takeaway: int  # sentences


def limits(name: str) -> Counts:
    """Return what a chapter may have at most; ``name`` begins with its number. The front has limits of its own."""
    words = {"index": 400, "00-primer": 2000}.get(name, 2400)
    return Counts(words, 180 if name[:2] in LONGER_CODE else 130, 500, 3, 0, 3, 5)


def of(notebook: nbformat.NotebookNode) -> Counts:
    """Count a page."""
    text, lines, words, checks, private = [], 0, 0, 0, set()
    in_exercise = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts = re.split(r"^(?=#{2,3} )", cell.source, flags=re.MULTILINE)
            for part in parts:
                if re.match(r"#{2,3} ", part):
                    in_exercise = part.startswith("### Exercise")
                if not in_exercise:
                    text.append(part)
            continue
        private |= private_names(cell.source)
        found = rules.tags(cell)
        if in_exercise or found & FOLDED:
            continue
        if not found & {"hide-input", "remove-input"}:
            lines += sum(bool(line.strip()) for line in cell.source.split("\n"))
        if not found & {"hide-output", "remove-output"}:
            words += sum(len(WORD.findall(_printed(output))) for output in cell.outputs)
            checks += bool(re.search(r"(?<![\w.])expect\(", cell.source))
    page = SOLUTION.sub("", "\n\n".join(text))
    boxes = [box for box in BOX.findall(page) if "dropdown" in box]
    for box in boxes:
        page = page.replace(box, "")
    takeaway = page.split("## Take-away")[-1].split("## ")[0] if "## Take-away" in page else ""
    return Counts(len(WORD.findall(_read(page))), lines, words, checks, len(private), len(boxes), _sentences(takeaway))


def over(name: str, counts: Counts) -> list[str]:
    """Return the names of the limits that a page breaks."""
    return [field for field in Counts._fields if getattr(counts, field) > getattr(limits(name), field)]


def problems(name: str, counts: Counts, rewritten=rules.REWRITTEN, allowed=None) -> list[str]:
    """Return what a page has too much of: all that is over a limit, but for what ``allowed`` (``OVER``) lists for it.

    A page that is rewritten has no allowance, and an allowance that is no longer needed goes.
    """
    broken, listed = over(name, counts), set((OVER if allowed is None else allowed).get(name, ()))
    if name in rewritten and listed:
        return [f"{name} is rewritten: take it out of OVER in tools/counts.py"]
    most = limits(name)
    found = [
        f"{field}: {getattr(counts, field)}, at most {getattr(most, field)}" for field in broken if field not in listed
    ]
    found += [
        f"{field} is within its limit now: take it out of OVER in tools/counts.py" for field in listed - set(broken)
    ]
    return found


def private_names(source: str) -> set[str]:
    """Return the private names of the package that code imports or reaches into; the reader's own do not count."""
    try:
        tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
    except SyntaxError:
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unetbook":
            names |= {part for part in node.module.split(".") if _private(part)}
            names |= {alias.name for alias in node.names if _private(alias.name)}
        elif isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".") if _private(part)}
        elif isinstance(node, ast.Attribute) and _private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                names.add(node.attr)
    return names - OF_OTHERS


def _private(name) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _read(markdown) -> str:
    """Markdown as it is read aloud: no code, no formulas, no addresses, no fences."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1`*\s*$", " ", markdown, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\$\$.*?\$\$|(?<!\\)\$[^$]+\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|^:::.*$|^\|[-:| ]+\|$", " ", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "x", text)


def _printed(output) -> str:
    """The text of an output that a page shows."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return ""
    return data.get("text/markdown") or data.get("text/html") or data.get("text/plain", "")


def _sentences(markdown) -> int:
    """Sentences of a take-away; 'Next' with its link is none of them."""
    text = re.sub(r"^.*\bNext\b.*$", "", _read(markdown), flags=re.MULTILINE)
    return len(re.findall(r"[.!?](?=\s|$)", re.sub(r"\d\.\d|\b(e\.g|i\.e|vs)\.", "", text)))


# What chapters that are not rewritten yet have too much of.
OVER: dict[str, tuple[str, ...]] = {
    "01-task": ("output",),
    "03-skip-connections": ("code", "open_checks", "takeaway"),
    "04-upsampling": ("words", "code", "output", "takeaway"),
    "06-metrics": ("words", "code", "output", "takeaway"),
    "07-augmentation": ("words", "code", "output", "takeaway"),
    "08-losses": ("words", "code", "output", "takeaway"),
    "09-weight-maps": ("words", "code", "output", "takeaway"),
    "10-instances": ("output", "takeaway"),
    "11-initialization-and-optimization": ("words", "code", "output", "takeaway"),
    "12-unetpp": ("words", "code", "output", "takeaway"),
    "13-improved-unet": ("words", "code", "output", "open_checks", "takeaway"),
    "14-transfer-learning": ("words", "code", "output", "open_checks", "takeaway"),
    "15-em-membranes": ("words", "code", "output", "takeaway"),
    "17-skin-lesions": ("words", "code", "output", "open_checks", "takeaway"),
    "18-touching-cells": ("words", "code", "output", "open_checks", "takeaway"),
}
