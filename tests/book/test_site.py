"""What the site is made from: pages without code, numbers in the contents, the mark, buttons that lead somewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from skimage import io
from sphinx.util.matching import Matcher

from tools import book, chapters, contents, logo, pairs, rules, site_extension

# --- pages without code -----------------------------------------------------------------------------------------------

PAGE = (
    "# A page\n\n```bibtex\n@book{key}\n```\n\n```python\nshown = True\n```\n\n[one](../01-name.ipynb), [two](two.md)\n"
)


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "chapters" / "pages"
    folder.mkdir(parents=True)
    for name in (
        "chapters/01-name.md",
        "chapters/01-name.ipynb",
        "chapters/pages/two.md",
        "chapters/pages/picture.png",
    ):
        (tmp_path / name).touch()
    (folder / "one.md").write_text(PAGE, encoding="utf-8")
    return folder / "one.md"


def test_a_page_is_no_pair(page):
    assert [path.name for path in pairs.chapters(page.parent.parent)] == ["01-name.md"]
    assert [path.name for path in pairs.pages(page.parent)] == ["one.md", "two.md"]


def test_a_page_with_shown_code_and_links_is_good(page):
    notebook = pairs.read_page(page)
    assert rules.without_code(notebook) + rules.portable(notebook) + rules.links(notebook, page.parent) == []


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("```{code-cell} ipython3\n1 + 1\n```", "cell [1 + 1] is code, and pages have none: make it a chapter"),
        ("```{code-cell}\n2\n```", "make it a chapter"),
        ("```{note}\nText\n```", "colon fence"),
        ("See {ref}`here`.", "inline role"),
        ("![Short](picture.png)", "needs an alt text"),
        ("[a chapter](../01-name.md)", "link to the .ipynb"),
        ("[a chapter](01-name.ipynb)", "01-name.ipynb leads nowhere"),
        ("[a page](three.md)", "three.md leads nowhere"),
    ],
)
def test_rule_for_pages_sees(page, added, message):
    page.write_text(f"{PAGE}\n{added}\n", encoding="utf-8")
    notebook = pairs.read_page(page)
    checks = (rules.without_code, rules.figures, rules.portable)
    problems = [problem for check in checks for problem in check(notebook)] + rules.links(notebook, page.parent)
    assert len(problems) == 1 and message in problems[0], problems


def test_a_chapter_links_to_a_page_by_its_markdown(page):
    notebook = new_notebook(cells=[new_markdown_cell("[a page](pages/one.md)")])
    assert rules.links(notebook, page.parent.parent) == []


def test_configuration_excludes_chapters_and_not_pages():
    config = yaml.safe_load((pairs.ROOT / "_config.yml").read_text(encoding="utf-8"))
    excluded = Matcher(config["exclude_patterns"])
    assert excluded("chapters/01-task.md") and not excluded("chapters/pages/cite.md")


def test_pages_are_copied_and_a_missing_one_is_named(monkeypatch, tmp_path):
    copied = book.copy_source(tmp_path / "source")
    assert {path.suffix for path in copied} == {".ipynb"}  # pages are not executed
    there = sorted(path.name for path in (tmp_path / "source" / "chapters" / "pages").iterdir())
    assert there == [path.name for path in pairs.pages()] and "cite.md" in there
    monkeypatch.setattr(book.pairs, "toc_files", lambda: ["chapters/pages/nowhere.md"])
    with pytest.raises(SystemExit, match=r"nowhere\.md, which is not there\. Write it, or take it out of _toc\.yml"):
        book.copy_source(tmp_path / "other")


# --- the contents -----------------------------------------------------------------------------------------------------


def part(*files, **options):
    return {"caption": "A part", **options, "chapters": [{"file": file} for file in files]}


FILES = ["chapters/index.ipynb", "chapters/00-start.ipynb", "chapters/01-a.ipynb", "chapters/02-b.ipynb"]


def problems_of(*parts):
    return contents.problems({"root": FILES[0], "parts": list(parts)}, FILES, ["chapters/pages/cite.md"])


def test_contents_run_on_across_parts():
    parts = [part(FILES[1]), part(FILES[2], numbered=1), part(FILES[3], numbered=1), part("chapters/pages/cite.md")]
    toc = {"root": FILES[0], "parts": parts}
    assert contents.numbers(toc) == list(zip([*FILES, "chapters/pages/cite.md"], [None, None, 1, 2, None], strict=True))
    assert problems_of(*parts) == []


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([part(*FILES[1:2]), part(*FILES[2:], numbered=1)], "chapters/pages/cite.md is not listed"),
        ([part(*FILES[1:2]), part(FILES[3], numbered=1), part("chapters/pages/cite.md")], "01-a.ipynb is not listed"),
        ([part("chapters/pages/cite.md", "chapters/pages/cite.md")], "chapters/pages/cite.md is listed 2 times"),
        ([part("chapters/pages/gone.md")], "chapters/pages/gone.md is listed, and is neither"),
        ([part("chapters/01-a.md", numbered=1)], "chapters/01-a.md is listed, and is neither"),
        ([part(*FILES[2:])], "01-a.ipynb has the number None in the contents, and its name says 1"),
        ([part(FILES[3], FILES[2], numbered=1)], "02-b.ipynb has the number 1 in the contents, and its name says 2"),
        ([part(FILES[1], numbered=1)], "00-start.ipynb has the number 1 in the contents, and its name says None"),
        ([part("chapters/pages/cite.md", numbered=1)], "cite.md has the number 1 in the contents"),
        ([part(*FILES[2:], numbered=True)], "has numbered: True; chapters alone: numbered: 1"),
    ],
)
def test_contents_see(parts, message):
    assert any(message in problem for problem in problems_of(*parts)), problems_of(*parts)


# --- the mark ---------------------------------------------------------------------------------------------------------


def test_the_mark_is_what_the_code_draws():
    assert logo.LOGO.read_text(encoding="utf-8") == logo.svg(), "draw it again: make logo"
    np.testing.assert_array_equal(io.imread(logo.FAVICON), logo.pixels(), err_msg="draw it again: make logo")


def test_the_boxes_of_the_mark_lie_on_the_grid_apart_and_mirrored():
    boxes = [box for box, _ in logo.BOXES]
    drawn = np.zeros((logo.SIZE, logo.SIZE), int)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= logo.SIZE and 0 <= top < bottom <= logo.SIZE
        drawn[top:bottom, left:right] += 1
    assert drawn.max() == 1
    np.testing.assert_array_equal(drawn, drawn[:, ::-1])


# --- buttons ----------------------------------------------------------------------------------------------------------

REAL = "https://github.com/somebody/unetbook"


@pytest.mark.parametrize("address", ["", f"https://github.com/{site_extension.PLACEHOLDER}/unetbook"])
def test_placeholder_takes_the_buttons_away(address):
    options = {"repository_url": address, "launch_buttons": {"colab_url": "x"}, "use_repository_button": True, "a": 1}
    left = site_extension.without_dead_buttons(options)
    assert left["launch_buttons"] == {} and left["use_repository_button"] is False and left["repository_url"] == ""
    assert left["a"] == 1 and options["launch_buttons"]


def test_real_address_keeps_the_buttons():
    options = {"repository_url": REAL, "launch_buttons": {"colab_url": "x"}}
    assert site_extension.without_dead_buttons(options) == options
    assert not site_extension.is_placeholder(f"https://github.com/the-{site_extension.PLACEHOLDER}-of/unetbook")


def test_a_site_with_a_real_address_has_its_buttons_its_page_and_its_mark(tmp_path):
    """Built by the book's own configuration, in which only the address is another one."""
    config = (pairs.ROOT / "_config.yml").read_text(encoding="utf-8")
    (tmp_path / "_config.yml").write_text(config.replace(chapters.repository(), REAL), encoding="utf-8")
    toc = {"format": "jb-book", "root": "chapters/index.ipynb", "parts": [part("chapters/pages/one.md")]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    for folder in ("chapters/pages", "tools"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(pairs.ROOT / "_static", tmp_path / "_static")
    shutil.copy(pairs.ROOT / "tools" / "site_extension.py", tmp_path / "tools")
    notebook = new_notebook(cells=[new_markdown_cell("# First\n\n[A page](pages/one.md)"), new_code_cell("1")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, tmp_path / "chapters" / "index.ipynb")
    (tmp_path / "chapters" / "pages" / "one.md").write_text(
        "# A page\n\n[First](../index.ipynb), $x$\n", encoding="utf-8"
    )

    program = Path(sys.executable).with_name("jupyter-book")
    built = subprocess.run([program, "build", tmp_path, "-W", "-q"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "_build" / "html"
    first, page = ((site / "chapters" / name).read_text(encoding="utf-8") for name in ("index.html", "pages/one.html"))
    links = re.findall(r'href="([^"]*)"', first)
    assert "https://colab.research.google.com/github/somebody/unetbook/blob/main/chapters/index.ipynb" in links
    assert "https://mybinder.org/v2/gh/somebody/unetbook/main?urlpath=lab/tree/chapters/index.ipynb" in links
    assert "../_sources/chapters/index.ipynb" in links and "pages/one.html" in links
    assert "somebody" not in page and 'href="../index.html"' in page
    assert 'src="../_static/logo.svg"' in first and 'href="../_static/favicon.png"' in first
    for text in (first, page):  # MathJax is there, and loaded once
        assert re.findall(r'src="[./]*/_static/(mathjax/[^"?]*)', text) == ["mathjax/tex-chtml.js"]
    assert (site / "_static" / "mathjax" / "tex-chtml.js").is_file()


# --- folds of solutions -----------------------------------------------------------------------------------------------

FOLD = (
    '<div class="cell tag_hide-cell docutils container">\n<details class="admonition hide above-input">\n'
    '<summary aria-label="Toggle hidden content">\n<p class="collapsed admonition-title">Show the code</p>\n'
    '<p class="expanded admonition-title">Hide the code</p>\n</summary>'
)


def test_the_fold_below_the_word_solution_has_that_name():
    named = site_extension.named_solutions(f"<p>Solution</p>\n{FOLD}\n<p>More</p>\n{FOLD}")
    assert named.count(">Solution</p>") == 2 and "<p>Solution</p>" not in named
    assert named.endswith(f"<p>More</p>\n{FOLD}")
