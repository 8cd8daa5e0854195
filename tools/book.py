"""Build the site from a copy of the chapters, warnings as errors.

    python -m tools.book

The copy lies in ``_build/source``, the site in ``_build/html``. Where UNETBOOK_DATA names a folder, the chapters with
cells tagged ``local-data`` are executed in the copy first, so that the pages show real pictures; the committed chapters
hold none and stay as they are. Everything is made anew: a page of a chapter that is gone does not stay behind, and a
warning of an unchanged page is not forgotten.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from tools import figures, kernel, pairs

ROOT = pairs.ROOT
BUILD = ROOT / "_build"
SITE = BUILD / "html"


def copy_source(source: Path) -> list[Path]:
    """Copy what the site is made from into ``source`` and return the copied notebooks; raises ``SystemExit``."""
    shutil.rmtree(source, ignore_errors=True)
    for folder in ("chapters/pages", "tools"):
        (source / folder).mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "tools/site_extension.py"):
        shutil.copy(ROOT / name, source / name)
    for name in ("chapters/code", "results", "studies", "_static"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    copied = []
    for name in map(Path, pairs.toc_files()):
        if not (ROOT / name).is_file():
            chapter = name.suffix == ".ipynb"
            cure = f"Run: make chapters ONLY={name.stem}" if chapter else "Write it, or take it out of _toc.yml"
            raise SystemExit(f"_toc.yml lists {name.as_posix()}, which is not there. {cure}")
        copied.append(Path(shutil.copy(ROOT / name, source / name)))
    return [path for path in copied if path.suffix == ".ipynb"]


def uses_local_data(notebook: nbformat.NotebookNode) -> bool:
    """Tell whether a chapter has cells that show real images where there are any."""
    return any("local-data" in cell.metadata.get("tags", []) for cell in notebook.cells)


def show_real_data(chapters: list[Path], data: str) -> None:
    """Execute the copied chapters that show real images, with the images of the folder ``data``."""
    if not Path(data).is_dir():
        raise SystemExit(
            f"UNETBOOK_DATA is {data!r}, which is not a folder. Correct it, or unset it: unset UNETBOOK_DATA"
        )
    with kernel.environment(UNETBOOK_DATA=str(Path(data).resolve())):
        for path in chapters:
            notebook = nbformat.read(path, as_version=4)
            if uses_local_data(notebook):
                print(f"{path.stem}: executed with the images of UNETBOOK_DATA", flush=True)
                kernel.execute(notebook, path.parent)
                figures.small(notebook)
                nbformat.write(notebook, path)


def build() -> int:
    """Build the site and return the exit status of the build; raises ``CellExecutionError`` for a failing chapter."""
    chapters = copy_source(BUILD / "source")
    if os.environ.get("UNETBOOK_DATA"):
        show_real_data(chapters, os.environ["UNETBOOK_DATA"])
    shutil.rmtree(SITE, ignore_errors=True)
    program = Path(sys.executable).with_name("jupyter-book")
    options = ["--path-output", ROOT, "-W", "--keep-going", "-q"]
    # Warnings come on stderr; what comes on stdout is a long way of saying where the site is.
    return subprocess.run([program, "build", BUILD / "source", *options], stdout=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    status = build()
    if status == 0:
        print(f"The book is at {SITE / 'index.html'}")
    sys.exit(status)
