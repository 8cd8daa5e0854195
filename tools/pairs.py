"""The two halves of a chapter: whether they agree, which one was edited, and how both are written.

A chapter is a pair: ``chapters/NN-name.md``, which one edits, and ``chapters/NN-name.ipynb`` beside it, executed and
committed. The notebook remembers in its metadata the fingerprint of the Markdown with which it last agreed, so that
one can tell which of the two was edited since. Times of files would not do: a fresh clone has none worth reading.

A page without code is no pair: ``chapters/pages/name.md`` is all there is of it.
"""

import hashlib
import re
from pathlib import Path

import jupytext
import nbformat
import yaml
from jupytext.combine import combine_inputs_with_outputs
from jupytext.config import load_jupytext_config

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
PAGES = CHAPTERS / "pages"


def toc_files(root: Path = ROOT) -> list[str]:
    """Return the files that ``_toc.yml`` lists, in order, as written there."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [entry["file"] for part in toc.get("parts", []) for entry in part["chapters"]]
    return [toc["root"], *chapters]


def chapters(folder: Path = CHAPTERS) -> list[Path]:
    """Return the Markdown half of every chapter, also where only the notebook is there."""
    return sorted({path.with_suffix(".md") for kind in ("*.md", "*.ipynb") for path in folder.glob(kind)})


def pages(folder: Path = PAGES) -> list[Path]:
    """Return the pages without code; a notebook among them is listed too, so that somebody notices it."""
    return sorted(path for kind in ("*.md", "*.ipynb") for path in folder.glob(kind))


def digest(text: str) -> str:
    """Return a short SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path) -> nbformat.NotebookNode:
    """Read either half of a pair."""
    return jupytext.read(path, config=load_jupytext_config(str(path)))


def read_page(path: Path) -> nbformat.NotebookNode:
    """Read a page without code as a notebook of Markdown, so that what looks at chapters can look at it.

    MyST's code cells stay code cells; a code block that is only shown, such as ``bibtex``, is Markdown.
    """
    return jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")


def written(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook as the Markdown that Jupytext writes."""
    return jupytext.writes(notebook, fmt="md:myst")


def body(notebook: nbformat.NotebookNode) -> str:
    """Return the same without its header, for comparing: an upgrade of Jupytext may change the header."""
    return re.sub(r"\A---\n.*?\n---\n", "", written(notebook), flags=re.DOTALL)


def state(markdown: Path) -> str:
    """Return 'agrees', 'markdown edited', 'notebook edited', 'both edited', 'no notebook' or 'no markdown'."""
    notebook = markdown.with_suffix(".ipynb")
    if not markdown.exists():
        return "no markdown"
    if not notebook.exists():
        return "no notebook"
    executed = read(notebook)
    here, there = body(read(markdown)), body(executed)
    if here == there:
        return "agrees"
    agreed = executed.metadata.get("unetbook", {}).get("text")
    if agreed == digest(there):
        return "markdown edited"
    return "notebook edited" if agreed == digest(here) else "both edited"


def advice(markdown: Path) -> str | None:
    """Say what is wrong with a pair and which command mends it, or return None where the halves agree."""
    name = markdown.stem
    make = f"make chapters ONLY={name}"
    take_notebook = f".venv/bin/jupytext --to md:myst chapters/{name}.ipynb"
    take_markdown = f".venv/bin/jupytext --to ipynb --update chapters/{name}.md && {make}"
    return {
        "agrees": None,
        "no markdown": f"chapters/{name}.md is missing beside the .ipynb. Write it from the notebook: {take_notebook}",
        "no notebook": f"chapters/{name}.ipynb is missing beside the .md. Execute the chapter: {make}",
        "markdown edited": f"chapters/{name}.md was edited and its .ipynb was not. Bring it in step: {make}",
        "notebook edited": f"chapters/{name}.ipynb was edited and its .md was not. Take over the notebook's text: "
        f"{take_notebook} && {make}",
        "both edited": f"chapters/{name}.md and chapters/{name}.ipynb were both edited and disagree. "
        f"Keep the notebook's text: {take_notebook} && {make}. Or keep the Markdown: {take_markdown}",
    }[state(markdown)]


def combined(markdown: Path) -> nbformat.NotebookNode:
    """Return the Markdown's cells with the ids, outputs and metadata of the notebook beside it, where there is one."""
    source, notebook = read(markdown), markdown.with_suffix(".ipynb")
    if notebook.exists():
        source = combine_inputs_with_outputs(source, read(notebook), fmt="md:myst")
    return source


def save(notebook: nbformat.NotebookNode, markdown: Path, inputs: str) -> None:
    """Write both halves of a pair. ``inputs`` is the fingerprint of what the outputs were made from."""
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)  # with metadata in the order that is stored
    notebook.metadata["jupytext"] = {"default_lexer": "ipython3"}  # pyproject.toml says how chapters are paired
    notebook.metadata["unetbook"] = {"inputs": inputs, "text": digest(body(notebook))}
    notebook.metadata.get("language_info", {}).pop("version", None)  # it differs from machine to machine
    _write(markdown.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")
    _write(markdown, written(notebook))


def _write(path: Path, text: str) -> None:
    """Write a file only where it changes, so that an editor that has it open is not asked to reload it."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
