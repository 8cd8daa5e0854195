"""The chapter contract as functions: each takes a notebook and returns a list of problems, empty when it is kept.

``tests/book/test_book.py`` applies them to every chapter, ``test_rules.py`` beside it shows that each can fail.
"""

import base64
import re
from pathlib import Path

# Chapters that keep the second edition's rules; the others are counted, and held to what they keep already.
REWRITTEN: tuple[str, ...] = (
    "index", "00-primer", "02-architecture", "05-overlap-tile", "16-nuclei", "19-your-own-images",
    "20-when-it-goes-wrong",
)  # fmt: skip
HEAD = ("What you'll do", "What you'll learn", "What you need", "Time")
TIMES = re.compile(r"\*\*Time\*\*: \d+ minutes to read, \d+ to run on two CPU cores")
FOOT = ("Take-away", "Sources")
ALT_LENGTH = 30
EXERCISES = 2
PALETTE = b"\x03"  # the color type of a PNG, its byte 25
LARGEST = 2_500_000  # bytes of a notebook
ALL_TOGETHER = 25_000_000  # bytes of all notebooks
PROMISE = re.compile(r"^(.+): \S+ \(text: (\S+) ± (\S+)\) ✓$", re.MULTILINE)  # of ``unetbook.contract``
ROUNDING = 0.02, 1e-4  # a tolerance of this share of the promise, or of this size, is rounding and needs no spread
MARGIN = 0.95  # of a tolerance may be used up by what was measured: seven values do not reach as far as the next one
NBVAL_COMMENT = re.compile(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)_\w+", re.MULTILINE)


def tags(cell) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def code_cells(notebook) -> list:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def first_line(cell) -> str:
    """Return the line by which a person finds a cell again."""
    return cell.source.strip().split("\n")[0]


def prose(notebook) -> str:
    """Return the Markdown of a notebook without what stands in code spans and code blocks."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1`*\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    # A role looks like a code span with a name before it, {ref}`here`, and stays to be found.
    span = r"(\{[\w:+-]+\})?(`+)(?!`).+?(?<!`)\2(?!`)"
    return re.sub(span, lambda found: found.group() if found[1] else "", text, flags=re.DOTALL)


def outputs(notebook) -> list[str]:
    """Every code cell is stored executed, in order, without errors, noise on stderr or times."""
    problems = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        where = f"cell [{first_line(cell)}]"
        if cell.execution_count != number:
            problems.append(f"{where} is stored with execution count {cell.execution_count} and not {number}")
        if "execution" in cell.metadata:
            problems.append(f"{where} is stored with timestamps")
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                problems.append(f"{where} is stored with the error {output.ename}")
            if output.get("name") == "stderr":
                problems.append(f"{where} is stored with output on stderr: {output.text[:60]!r}")
            elif "✗" in output.get("text", ""):
                problems.append(f"{where} is stored with a broken promise: correct the text or the code")
            elif "WARNING:tensorflow" in output.get("text", ""):  # TensorFlow warns on stdout, with addresses in it
                problems.append(f"{where} is stored with a warning of TensorFlow")
    return problems


def figures(notebook) -> list[str]:
    """Every figure has alt text that says more than a name would."""
    problems = []
    for cell in code_cells(notebook):
        images = sum(any(kind.startswith("image/") for kind in output.get("data", {})) for output in cell.outputs)
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        where = f"cell [{first_line(cell)}]"
        if images and len(alt) <= ALT_LENGTH:
            problems.append(
                f"{where} draws a figure; its metadata needs mystnb: image: alt: with over {ALT_LENGTH} letters"
            )
        if images > 1:
            problems.append(f"{where} draws {images} figures that would share one alt text: draw one figure a cell")
    text = prose(notebook)
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", text):
        if len(alt) <= ALT_LENGTH:
            problems.append(f"the image {target} needs an alt text of over {ALT_LENGTH} letters")
    if re.search(r"<img|:::\{?(image|figure)", text):
        problems.append(
            "images are written as ![alt text](file), which reads the same in the book, in Jupyter and in Colab"
        )
    return problems


def encodings(notebook) -> list[str]:
    """Every stored figure was encoded by ``tools.figures``: a palette PNG or a JPEG, and its width is known."""
    problems = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for kind in {"image/png", "image/jpeg"} & set(output.get("data", {})):
                plot = base64.b64decode(output.data[kind])[25:26] == PALETTE
                if not (plot or kind == "image/jpeg") or "width" not in output.metadata.get(kind, {}):
                    problems.append(f"cell [{first_line(cell)}] stores a figure as it was drawn: run `make chapters`")
    return problems


def portable(notebook) -> list[str]:
    """What a page says also reads in JupyterLab and Colab, which know neither roles nor backtick directives."""
    problems = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^\s*`{3,}\{", cell.source, flags=re.MULTILINE):
            problems.append("a directive is written with backticks: use a ::: colon fence")
    text = prose(notebook)
    problems += [f"{role} is an inline role: use an ordinary link" for role in re.findall(r"\{[\w:+-]+\}`[^`]*`", text)]
    problems += [f"{mark} starts a formula: use $ or $$" for mark in re.findall(r"\\\\?[\[(](?=.*?\\\\?[\])])", text)]
    outside = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    problems += [f"{name} stands outside $$" for name in re.findall(r"\\begin\{\w+\*?\}", outside)]
    if len(re.findall(r"(?<!\\)\$", text)) % 2:
        problems.append("a formula's $ has no partner: close it, or write \\$ for the currency")
    return problems


def links(notebook, folder: Path) -> list[str]:
    """Every relative link leads to a file: to a chapter's .ipynb, or to the .md of a page without code, in pages/."""
    problems = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(notebook)):
        path = target.split("#")[0]
        if re.match(r"[a-z]+:", target) or not path:
            continue
        if not (folder / path).exists():
            problems.append(f"the link {target} leads nowhere")
        elif path.endswith(".md") and (folder / path).resolve().parent.name != "pages":
            problems.append(f"the link {target} leads to no page: link to the .ipynb")
    return problems


def without_code(notebook) -> list[str]:
    """A page in chapters/pages has no code cell: nothing would execute it, and nothing would compare its output."""
    return [
        f"cell [{first_line(cell)}] is code, and pages have none: make it a chapter, chapters/NN-name.md"
        for cell in code_cells(notebook)
    ]


def escapes(notebook) -> list[str]:
    """Return the first lines of the cells whose output the tests do not compare."""
    loose = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception"}
    return [first_line(cell) for cell in code_cells(notebook) if tags(cell) & loose]


def hidden_escapes(notebook) -> list[str]:
    """Escapes are tags, not comments, and cells with real images carry one."""
    problems = []
    for cell in code_cells(notebook):
        if NBVAL_COMMENT.search(cell.source):
            problems.append(
                f"cell [{first_line(cell)}] escapes by a comment: use a tag, and list it in tests/book/test_book.py"
            )
        if "local-data" in tags(cell) and "nbval-ignore-output" not in tags(cell):
            problems.append(f"cell [{first_line(cell)}] has the tag local-data and needs nbval-ignore-output too")
    return problems


def contract(notebook) -> list[str]:
    """Head with two times, foot and exercises of a numbered chapter."""
    problems = []
    text = prose(notebook)
    first = text.split("\n## ")[0]
    head = re.findall(r"^[-*] \*\*([^*]+?):?\*\*", first, flags=re.MULTILINE)
    if tuple(head) != HEAD:
        problems.append(f"the head is a list of {', '.join(f'**{name}**' for name in HEAD)}; found: {head}")
    elif not TIMES.search(first):
        problems.append("**Time** says two: N minutes to read, M to run on two CPU cores")
    sections = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    if tuple(sections[-2:]) != FOOT:
        problems.append(f"the chapter ends with ## Take-away and ## Sources; its last sections are {sections[-2:]}")
    elif "](http" not in text.split("## Sources")[-1]:
        problems.append("## Sources links to no paper")
    return problems + _exercises(notebook)


def promises(notebook) -> list[tuple[str, float, float]]:
    """Return (name, promised value, tolerance) of each promise with a tolerance, as the stored outputs have them."""
    texts = [output.text for cell in code_cells(notebook) for output in cell.outputs if output.get("name") == "stdout"]
    return [promise for text in texts for promise in promises_in(text)]


def promises_in(text: str) -> list[tuple[str, float, float]]:
    """Return (name, promised value, tolerance) of each promise with a tolerance in printed text."""
    return [(name, float(about), float(within)) for name, about, within in PROMISE.findall(text)]


def tolerances(notebook, spread: list[dict]) -> list[str]:
    """Tolerances hold for five seeds and two imitated CPUs, with a margin, and are at most three times their range.

    ``spread`` is what ``tools.spread`` measured: a row {name, values} for each promise with a tolerance.
    """
    promised = promises(notebook)
    if [name for name, _, _ in promised] != [row["name"] for row in spread]:
        return ["the promises are not those whose spread was measured"]
    problems = []
    for (name, about, within), row in zip(promised, spread, strict=True):
        values = row["values"].values()
        low, high = min(values), max(values)
        widest = max(3 * (high - low), ROUNDING[0] * abs(about), ROUNDING[1])
        if max(abs(low - about), abs(high - about)) > MARGIN * within:
            problems.append(
                f"{name}: {about:g} within {within:g}, of which {MARGIN:.0%} may be used up, "
                f"but measured from {low:g} to {high:g}"
            )
        elif within > widest:
            problems.append(
                f"{name}: within {within:g} is wide; measured from {low:g} to {high:g}: at most {widest:.2g}"
            )
    return problems


def _exercises(notebook) -> list[str]:
    """Each ``### Exercise N: ...`` has a line Solution, and the cell after it is the solution, folded.

    Between the two may stand what the reader is to change, and the cell that checks it.
    """
    problems, number, waiting = [], 0, None
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if cell.cell_type != "markdown":
            continue
        found = re.findall(r"^### Exercise (\d+): \S", cell.source, flags=re.MULTILINE)
        if re.search(r"^##", cell.source, flags=re.MULTILINE) and waiting:
            problems.append(waiting)
            waiting = None
        if found:
            number += 1
            waiting = f"exercise {number} has a line Solution at its end, and a code cell tagged hide-cell follows"
            if found != [str(number)]:
                problems.append(f"exercises are numbered from 1, one a cell: found {found} where {number} is due")
        folded = following is not None and following.cell_type == "code" and "hide-cell" in tags(following)
        if cell.source.strip().split("\n")[-1].strip("*") == "Solution" and folded:
            waiting = None
    problems += [waiting] if waiting else []
    if number < EXERCISES:
        problems.append(f"{number} exercises (### Exercise N: ...); at least {EXERCISES} should be there")
    return problems
