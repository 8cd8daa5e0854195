"""Run chapters with other training seeds and on imitated CPUs, and keep by how much their promised numbers vary.

    python -m tools.spread [--only 02-architecture]

Writes ``results/spread/NN-name.json``: each number under contract with its promise and what five seeds and two imitated
CPUs gave. ``tests/book/test_book.py`` holds the tolerances against it: wide enough for what was seen, at most three
times the spread. About seven times the minutes of a chapter. The pictures stay the same; only the trainings differ.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import nbformat

from tools import kernel, pairs
from tools.chapters import selected

FOLDER = pairs.ROOT / "results" / "spread"
SHIFTS = (0, 100, 200, 300, 400)  # added to every training seed of a chapter; 0 is the chapter as it stands

# Runs before the first cell of a chapter: promises are written to a file instead of being checked.
RECORDER = """
import json

import keras

from unetbook import contract, training


def record(name, measured, about, within=0):
    value = getattr(measured, "tolist", lambda: measured)()
    with open({file!r}, "a") as file:
        file.write(json.dumps([name, value, about, within], default=str) + "\\n")


def shifted(set_seed, tiles):
    def seed_everything(seed):
        set_seed(seed + {shift})

    def build(self, images, labels, tile, output, batch_size, steps, seed, *arguments, **options):
        tiles(self, images, labels, tile, output, batch_size, steps, seed + {shift}, *arguments, **options)

    return seed_everything, build


contract.expect = record
keras.utils.set_random_seed, training.Tiles.__init__ = shifted(  # training.set_seed calls the first
    keras.utils.set_random_seed, training.Tiles.__init__
)
"""


def measured(markdown: Path, shift: int, variables: dict[str, str]) -> list[list]:
    """Run a copy of a chapter and return its promises in order: [name, measured, about, within]."""
    notebook = pairs.read(markdown)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "promises"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(RECORDER.format(file=str(file), shift=shift)))
        with kernel.environment(**variables):
            kernel.execute(notebook, markdown.parent)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def spread(markdown: Path) -> list[dict]:
    """Run a chapter in all ways: a row for each promise that has a tolerance."""
    ways = {f"seeds + {shift}": measured(markdown, shift, {}) for shift in SHIFTS}
    ways |= {name: measured(markdown, 0, variables) for name, variables in kernel.IMITATED.items()}
    first = next(iter(ways.values()))
    return [
        {"name": name, "values": {way: run[k][1] for way, run in ways.items()}}
        for k, (name, _, _, within) in enumerate(first)
        if within
    ]


def main() -> int:
    """Measure the chapters and write one file each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one chapter, for example 02-architecture")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for markdown in selected(parser.parse_args().only):
        rows = spread(markdown)
        if rows:
            content = {"promises": rows}
            (FOLDER / f"{markdown.stem}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"{markdown.stem}: {len(rows)} promises with a tolerance", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
