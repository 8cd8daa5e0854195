"""The chapters keep the chapter contract, pair by pair. ``pytest --nbval chapters`` executes them."""

import functools
import json
import re

import jupytext
import pytest

from tools import chapters as chapter_tool
from tools import contents, counts, inputs, pairs, rules, spread

NUMBERED = re.compile(r"\d\d-")
CHAPTERS = pairs.chapters()

# Cells whose output the tests do not compare, by chapter and first line. Only raw measurements (times, for example) and
# cells with real images belong here: anything else is a promise that nobody checks.
ESCAPES: dict[str, list[str]] = {
    "01-task": ['print(f"measured here: {seconds_windows / seconds_image:.0f} times the seconds")'],
    "04-upsampling": [
        'timed = {way: nets.unet((256, 256, 1), 2, filters=16, padding="same", upsampling=way) for way in WAYS}'
    ],
    "06-metrics": ["try:"],
    "07-augmentation": ["try:"],
    "09-weight-maps": ["def explain_absence():", "if real is None:"],
    "12-unetpp": ["milliseconds = {level: [] for level in pruned_paper}"],
    "15-em-membranes": ["def explain_absence():", *["if slices is None:"] * 4],
    "16-nuclei": ["worst = {}"],
    "17-skin-lesions": ["try:", *["if real is None:"] * 2],
    "18-touching-cells": ["try:", *["if real is None:"] * 3],
    "19-your-own-images": ["known = network.passport"],
}

OURS = {"unetbook", "studies", "benchmarks", "tests", "tools"}  # what Python can import from the folder of a clone

COLAB = """import sys

if "google.colab" in sys.modules:
    %pip install --quiet "unetbook @ git+{address}\""""


@functools.cache  # reading takes longer than most checks, and none of them changes what it is given
def notebook_of(chapter):
    path = chapter.with_suffix(".ipynb")
    assert path.exists(), pairs.advice(chapter)
    return pairs.read(path)


every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


@every_chapter
def test_pair_is_in_step(chapter):
    problem = pairs.advice(chapter)
    assert not problem, problem


@every_chapter
def test_outputs_were_made_from_the_code_that_stands_here(chapter):
    notebook = notebook_of(chapter)
    remembered = {"inputs": inputs.fingerprint(notebook), "text": pairs.digest(pairs.body(notebook))}
    assert notebook.metadata.get("unetbook") == remembered, f"out of date: make chapters ONLY={chapter.stem}"


@every_chapter
@pytest.mark.parametrize("rule", [rules.outputs, rules.figures, rules.portable, rules.hidden_escapes])
def test_chapter_keeps(rule, chapter):
    assert rule(notebook_of(chapter)) == []


def not_for_readers(source) -> set[str]:
    """What a chapter's code takes from us and must not: all but the public names of the package."""
    taken = {name.split(".")[0] for name in inputs.imported_names(source)} & OURS - {"unetbook"}
    return taken | counts.private_names(source)


@every_chapter
def test_a_chapter_takes_of_ours_the_package_alone_and_no_private_name(chapter):
    assert not_for_readers(inputs.code(pairs.read(chapter))) == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from unetbook import results, show\nresults.study('usiigaci').arms", set()),
        ("scores.ObjectErrors._fields\nrow._asdict()\ntensor._keras_history", set()),
        ("import studies", {"studies"}),
        ("from studies.tasks import nuclei", {"studies"}),
        ("from tools import pairs\nimport benchmarks", {"tools", "benchmarks"}),
        ("from unetbook.datasets import _files", {"_files"}),
        ("from unetbook import losses\nlosses._energy(labels, logits)", {"_energy"}),
    ],
)
def test_what_is_not_for_readers_is_found(source, names):
    assert not_for_readers(source) == names


@every_chapter
def test_links_lead_somewhere(chapter):
    assert rules.links(notebook_of(chapter), chapter.parent) == []


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if NUMBERED.match(c.stem)], ids=lambda path: path.stem)
def test_numbered_chapter_keeps_the_chapter_contract(chapter):
    assert rules.contract(notebook_of(chapter)) == []


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if NUMBERED.match(c.stem)], ids=lambda path: path.stem)
def test_tolerances_fit_the_measured_spread(chapter):
    file, command = spread.FOLDER / f"{chapter.stem}.json", f"python -m tools.spread --only {chapter.stem}"
    assert file.exists(), f"measure the spread of the promises: {command}"
    measured = json.loads(file.read_text(encoding="utf-8"))["promises"]
    assert rules.tolerances(notebook_of(chapter), measured) == [], f"after a change of what is computed: {command}"


@every_chapter
def test_first_code_cell_installs_the_package_on_colab(chapter):
    first = rules.code_cells(notebook_of(chapter))[0]
    assert "remove-cell" in rules.tags(first), "the cell for Colab is in the notebook and not on the page"
    assert first.source == COLAB.format(address=chapter_tool.repository()), f"make chapters ONLY={chapter.stem}"


@every_chapter
def test_notebook_is_small(chapter):
    size = chapter.with_suffix(".ipynb").stat().st_size
    assert size < rules.LARGEST, f"{chapter.stem}.ipynb has {size} bytes: draw fewer or smaller figures"


@every_chapter
def test_figures_are_palettes_or_photographs(chapter):
    assert rules.encodings(notebook_of(chapter)) == []


def test_all_notebooks_together_are_small():
    assert sum(chapter.with_suffix(".ipynb").stat().st_size for chapter in CHAPTERS) < rules.ALL_TOGETHER


@every_chapter
def test_a_page_is_no_longer_than_it_may_be(chapter):
    assert counts.problems(chapter.stem, counts.of(notebook_of(chapter))) == []


def test_rewritten_chapters_are_there():
    assert set(rules.REWRITTEN) | set(counts.OVER) <= {chapter.stem for chapter in CHAPTERS}


def test_cells_that_escape_comparison_are_listed():
    found = {chapter.stem: rules.escapes(notebook_of(chapter)) for chapter in CHAPTERS}
    assert {name: cells for name, cells in found.items() if cells} == ESCAPES


def test_contents_list_every_chapter_and_page_once():
    notebooks = [f"chapters/{chapter.stem}.ipynb" for chapter in CHAPTERS]
    pages = [f"chapters/pages/{page.name}" for page in pairs.pages()]
    assert contents.problems(contents.read(), notebooks, pages) == []


@pytest.mark.parametrize("page", pairs.pages(), ids=lambda path: path.stem)
def test_page_without_code_keeps_its_rules(page):
    notebook = pairs.read_page(page)
    problems = [problem for rule in (rules.without_code, rules.figures, rules.portable) for problem in rule(notebook)]
    assert problems + rules.links(notebook, page.parent) == []


def test_repository_address_stands_in_one_place():
    address = chapter_tool.repository().removeprefix("https://")
    files = [pairs.ROOT / name for name in ("README.md", "Makefile", "pyproject.toml", ".ci/run")]
    files += [file for folder in ("unetbook", "tools", "tests") for file in (pairs.ROOT / folder).rglob("*.py")]
    assert [str(file) for file in files if address in file.read_text(encoding="utf-8")] == []


def test_lab_pairs_the_chapters():
    """JupyterLab opens either half and saves both: Jupytext's contents manager finds the pair in pyproject.toml."""
    config = jupytext.config.load_jupytext_config(str(CHAPTERS[0]))
    notebook = pairs.read(CHAPTERS[0])
    formats = jupytext.config.notebook_formats(notebook, config, str(CHAPTERS[0]))
    assert [found["extension"] for found in formats] == [".ipynb", ".md"]
