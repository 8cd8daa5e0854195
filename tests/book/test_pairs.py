"""Editing one half of a pair is noticed, nothing is overwritten silently, and the message names the command."""

import pytest

from tools import inputs, pairs

TEXT = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Title

Words.

```{code-cell} ipython3
1 + 1
```
"""


@pytest.fixture
def chapter(tmp_path):
    markdown = tmp_path / "01-name.md"
    markdown.write_text(TEXT, encoding="utf-8")
    pairs.save(pairs.combined(markdown), markdown, inputs="none")
    return markdown


def edit(path):
    path.write_text(path.read_text(encoding="utf-8").replace("Words", f"Words of {path.suffix}"), encoding="utf-8")


def test_a_saved_pair_agrees_and_saving_again_changes_nothing(chapter):
    notebook = chapter.with_suffix(".ipynb")
    before = notebook.read_bytes(), chapter.read_bytes()
    assert pairs.state(chapter) == "agrees" and pairs.advice(chapter) is None
    pairs.save(pairs.combined(chapter), chapter, inputs="none")
    assert (notebook.read_bytes(), chapter.read_bytes()) == before


def test_each_way_of_being_out_of_step_names_its_command(chapter):
    notebook = chapter.with_suffix(".ipynb")
    good_text, good_notebook = chapter.read_text(encoding="utf-8"), notebook.read_text(encoding="utf-8")
    edit(chapter)
    assert pairs.state(chapter) == "markdown edited"
    assert pairs.advice(chapter).endswith("make chapters ONLY=01-name")
    edit(notebook)
    assert pairs.state(chapter) == "both edited"
    assert "jupytext --to md:myst" in pairs.advice(chapter) and "jupytext --to ipynb --update" in pairs.advice(chapter)
    chapter.write_text(good_text, encoding="utf-8")
    assert pairs.state(chapter) == "notebook edited"
    assert "jupytext --to md:myst chapters/01-name.ipynb" in pairs.advice(chapter)
    notebook.unlink()
    assert pairs.state(chapter) == "no notebook"
    assert pairs.advice(chapter).endswith("Execute the chapter: make chapters ONLY=01-name")
    notebook.write_text(good_notebook, encoding="utf-8")
    chapter.unlink()
    assert pairs.state(chapter) == "no markdown"
    assert "jupytext --to md:myst" in pairs.advice(chapter)


def test_cell_ids_survive_an_edit(chapter):
    before = [cell.id for cell in pairs.read(chapter.with_suffix(".ipynb")).cells]
    edit(chapter)
    pairs.save(pairs.combined(chapter), chapter, inputs="none")
    after = [cell.id for cell in pairs.read(chapter.with_suffix(".ipynb")).cells]
    assert after[1] == before[1] and len(after) == len(before)


def test_fingerprint_follows_code_and_leaves_prose_alone(chapter):
    first = inputs.fingerprint(pairs.read(chapter))
    edit(chapter)
    assert inputs.fingerprint(pairs.read(chapter)) == first
    chapter.write_text(TEXT.replace("1 + 1", "1 + 2"), encoding="utf-8")
    assert inputs.fingerprint(pairs.read(chapter)) != first


@pytest.fixture
def write_package(monkeypatch, tmp_path):
    """A function that writes the files of a package, {name: text}, which ``inputs`` then takes for ours."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "unetbook" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        places = {"ROOT": tmp_path, "PACKAGE": tmp_path / "unetbook", "RESULTS": tmp_path / "results"}
        for name, value in places.items():
            monkeypatch.setattr(inputs, name, value)
        return places["PACKAGE"]

    return write


def test_fingerprint_follows_the_package_and_the_results(write_package, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    files = {
        "__init__.py": "",
        "sizes.py": "",
        "losses.py": "",
        "nets/__init__.py": "from .unet import unet\n",
        "nets/unet.py": "from .. import sizes\nfrom unetbook.nets.blocks import block\n",
        "nets/blocks.py": "",
        "nets/book.mplstyle": "",
    }
    package = write_package(files)
    (results / "a-run.json").write_text("{}")
    found = {
        file.relative_to(package).as_posix() for file in inputs.dependencies("from unetbook.nets import unet\n%pip")
    }
    assert found == set()  # a chapter with a mistake: running it says where
    found = {file.relative_to(package).as_posix() for file in inputs.dependencies("from unetbook.nets import unet")}
    assert found == set(files) - {"losses.py", "nets/book.mplstyle"}

    def fingerprint(source):
        markdown = tmp_path / "x.md"
        markdown.write_text(TEXT.replace("1 + 1", source), encoding="utf-8")
        return inputs.fingerprint(pairs.read(markdown))

    code, reads = "%matplotlib inline\nimport unetbook.nets", "show('a-run')"
    before = fingerprint(code), fingerprint(reads)
    (package / "losses.py").write_text("changed = True\n")
    assert (fingerprint(code), fingerprint(reads)) == before
    (package / "nets/blocks.py").write_text("changed = True\n")
    assert fingerprint(code) != before[0]
    before = fingerprint(code), fingerprint(reads)
    (package / "nets/book.mplstyle").write_text("font.size: 12")
    assert fingerprint(code) != before[0] and fingerprint(reads) == before[1]
    (results / "a-run.json").write_text('{"changed": true}')
    assert fingerprint(reads) != before[1]


def test_names_that_are_imported_lazily_count_where_they_are_used(write_package):
    files = {
        "__init__.py": '_LAZY = {"load": "segmenter", "Segmenter": "segmenter"}\n',
        "segmenter.py": "from unetbook import store\n",
        "store.py": "import unetbook\n",
        "sizes.py": "import unetbook\nprint(unetbook.__version__)\n",
    }
    write_package(files)

    def found(text):
        return {file.name for file in inputs.dependencies(text)}

    lazy = {"__init__.py", "segmenter.py", "store.py"}
    assert found("import unetbook\nunetbook.load('nuclei')") == lazy
    assert found("import unetbook as book\nprint(book.Segmenter)") == lazy
    assert found("from unetbook import Segmenter as S") == lazy
    assert found("import unetbook\nfrom unetbook import sizes\nstore.load('x')") == {"__init__.py", "sizes.py"}
    assert found("import numpy\nnumpy.load('x')\nfrom numpy import load") == set()


def test_no_module_but_those_above_it_depends_on_the_segmenter():
    """A chapter that builds networks and losses is not executed again when inference changes."""
    below = "from unetbook import losses, nets, sizes, tiling, training, labels, instances, store, weightmap, augment"
    assert inputs.PACKAGE / "segmenter.py" not in inputs.dependencies(f"import unetbook\n{below}")
    above = inputs.dependencies("import unetbook\nlabels = unetbook.load('nuclei')(image)")
    assert {file.name for file in above} >= {"segmenter.py", "choices.py", "passports.py", "tiling.py", "instances.py"}
