"""The seven cells of chapter 16 run on a folder of somebody else: gray, 16 bits, two sizes, without what is folded."""

import numpy as np
import pytest
from skimage import io

from tools import pairs, rules
from unetbook import submission
from unetbook.datasets import synthetic

FOLDED = {"hide-input", "hide-cell", "remove-cell", "remove-input"}
CHANGED = {  # what the page asks its readers to change, and less training
    'images, masks, out = place / "images", place / "labels", place': "images, masks, out = FOLDERS",
    "side, steps, epochs = 96, 36, 4": "side, steps, epochs = 32, 1, 1",
    "filters=12, depth=3": "filters=2, depth=2",
}


def cells():
    """The imports of the first fold, and the visible cells of the recipe, as a reader takes them along."""
    code, section = [], ""
    for cell in pairs.read(pairs.CHAPTERS / "16-nuclei.ipynb").cells:
        if cell.cell_type == "markdown":
            for line in cell.source.split("\n"):
                section = line if line.startswith("#") else section
        elif "# What the seven cells need." in cell.source:
            code.append(cell.source.split("# What this page needs beside them.")[0])
        elif section[:4] == "### " and section[4].isdigit() and not rules.tags(cell) & FOLDED:
            code += [cell.source] if "expect(" not in cell.source else []
    return code


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "labels", "out"):
        (tmp_path / name).mkdir()
    for size in (48, 64):
        pictures, nuclei = synthetic.nuclei(count=5, size=size, seed=size)
        for number, (picture, numbered) in enumerate(zip(pictures, nuclei, strict=True)):
            for part, pixels in (("images", 4095 * np.clip(picture[..., 0], 0, 1)), ("labels", numbered)):
                io.imsave(tmp_path / part / f"{size}-{number}_a.tif", np.uint16(pixels), check_contrast=False)
    return tmp_path / "images", tmp_path / "labels", tmp_path / "out"


def test_the_seven_cells_run_on_another_folder(folders):
    code = cells()
    assert len(code) == 1 + 7, "the imports, and seven cells"
    text = "\n\n".join(code)
    for before, after in CHANGED.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    names = {"FOLDERS": folders}
    exec(compile(text, "the recipe", "exec"), names)
    assert names["channels"] == 1 and 0 <= names["score"] <= 1
    assert set(names["train"]) | set(names["validation"]) | set(names["test"]) == set(names["samples"])
    shapes = {id_: names["samples"][id_].labels.shape for id_ in names["test"]}
    assert set(submission.read(folders[2] / "submission.csv", shapes)) == set(names["test"])
    assert (folders[2] / "nuclei.keras").is_file()
