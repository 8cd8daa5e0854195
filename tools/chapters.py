"""Execute the chapters whose outputs are out of date, and write both halves of each pair.

python -m tools.chapters [--only 02-architecture] [--force]
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
import yaml
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools import figures, inputs, kernel, pairs

IN_STEP_AGAIN = {"agrees", "markdown edited", "no notebook"}  # what the Markdown alone can mend


def repository() -> str:
    """Return the repository's address, which stands in ``_config.yml`` alone."""
    return yaml.safe_load((pairs.ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def set_address(notebook: nbformat.NotebookNode, address: str) -> None:
    """Write the repository's address into the cell that installs the package on Colab."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "google.colab" in cell.source:
            cell.source = re.sub(r'git\+[^"]*', f"git+{address}", cell.source)


def is_executed(notebook: nbformat.NotebookNode) -> bool:
    """Tell whether every code cell has been run."""
    return all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def update(markdown: Path, address: str, force: bool) -> str:
    """Bring one pair up to date and return what was done; raises ``CellExecutionError`` when a cell fails."""
    notebook = pairs.combined(markdown)
    set_address(notebook, address)
    wanted = inputs.fingerprint(notebook)
    if not force and is_executed(notebook) and notebook.metadata.get("unetbook", {}).get("inputs") == wanted:
        pairs.save(notebook, markdown, wanted)
        return "up to date"
    start = time.perf_counter()
    kernel.execute(notebook, markdown.parent)
    figures.small(notebook)
    pairs.save(notebook, markdown, wanted)
    return f"executed in {time.perf_counter() - start:.0f} s"


def selected(only: str | None) -> list[Path]:
    """Return the chapters to look at; raises ``SystemExit`` naming the chapters there are."""
    every = pairs.chapters()
    if not only:
        return every
    name = Path(only).stem
    if name not in [path.stem for path in every]:
        names = ", ".join(path.stem for path in every)
        raise SystemExit(f"There is no chapter {only!r}. The chapters are: {names}.")
    return [path for path in every if path.stem == name]


def main() -> int:
    """Update the chapters and return the exit status: 1 when one failed or must not be overwritten."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one chapter, for example 02-architecture")
    parser.add_argument("--force", action="store_true", help="execute it though nothing changed")
    options = parser.parse_args()
    failed = 0
    with kernel.environment():
        for markdown in selected(options.only):
            if pairs.state(markdown) not in IN_STEP_AGAIN:
                print(pairs.advice(markdown), file=sys.stderr)
                failed = 1
                continue
            try:
                print(f"{markdown.stem}: {update(markdown, repository(), options.force)}", flush=True)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                message = re.sub(r"\x1b\[[\d;]*m", "", str(error))
                print(f"{markdown.stem}: failed, and nothing was written\n{message}", file=sys.stderr)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
