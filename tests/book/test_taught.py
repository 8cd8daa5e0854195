"""Where a function is taught is derived from the chapters' code, and typed nowhere in the package."""

import re

import pytest

from tools import pairs, taught
from tools.inputs import PACKAGE

NAMES = {
    "unetbook.scores.dice": "scores.dice",
    "unetbook.scores.pixels.dice": "scores.dice",
    "unetbook.augment.Augmenter": "augment.Augmenter",
    "unetbook.nets.unet": "nets.unet",
    "unetbook.load": "segmenter.load",
    "unetbook.show.source": "show.source",
}


@pytest.fixture(scope="module")
def table():
    return taught.taught(taught.numbered(), taught.public_names())


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_text_of_the_package_types_the_number_of_a_chapter(file):
    assert re.findall(r"chapters?\s+\d+", file.read_text(encoding="utf-8"), re.IGNORECASE) == []


def test_public_names_are_those_that_a_chapter_writes():
    found = taught.public_names()
    assert {path: found[path] for path in NAMES} == NAMES
    assert found["unetbook.datasets.synthetic.nuclei"] == "datasets.synthetic.nuclei"  # defined in a private module
    assert found["unetbook.scores.boundaries.masks"] == "scores.pixels.masks"  # imported there
    assert found["unetbook.losses.dice"] == "losses.dice" and found["unetbook.losses.Dice"] == "losses.Dice"
    assert not any(part.startswith("_") for name in found.values() for part in name.split("."))


@pytest.mark.parametrize(
    ("code", "shown", "called", "spoken_of"),
    [
        ("from unetbook import scores\nscores.dice(a, b)", (), ("scores.dice",), ("scores.dice",)),
        ("from unetbook import scores\nbest = max(x, key=scores.dice)", (), (), ("scores.dice",)),
        ("from unetbook.scores import dice as d\nd(a, b)", (), ("scores.dice",), ("scores.dice",)),
        ("import unetbook\nunetbook.load('x')(y)", (), ("segmenter.load",), ("segmenter.load",)),
        (
            "from unetbook import augment, show\nshow.source(augment.Augmenter.shade)",
            ("augment.Augmenter",),
            ("show.source",),
            ("augment.Augmenter", "show.source"),
        ),
        ("scores = {}\nscores.dice(a, b)\nfrom elsewhere import nets\nnets.unet(1)", (), (), ()),
    ],
)
def test_what_code_does_with_names(code, shown, called, spoken_of):
    assert taught.uses(code, NAMES) == (set(shown), set(called), set(spoken_of))


def test_the_source_counts_before_a_call_and_a_call_before_a_word():
    use = "from unetbook import scores, show\n"
    chapters = {"01": use + "scores.dice", "02": use + "scores.dice(a, b)", "03": use + "show.source(scores.dice)"}
    assert taught.taught(chapters, NAMES)["scores.dice"] == ("03", ("01", "02", "03"))
    del chapters["03"]
    assert taught.taught(chapters, NAMES)["scores.dice"] == ("02", ("01", "02"))
    del chapters["02"]
    assert taught.taught(chapters, NAMES)["scores.dice"] == ("01", ("01",))
    assert taught.taught(chapters, NAMES)["nets.unet"] == (None, ())


def test_the_chapters_teach_what_they_are_about(table):
    assert table["weightmap.weight_map"].teaches == "09"
    assert table["sizes.output_size"].teaches in {"00", "01", "02"}
    assert table["nets.unet"].teaches == "02" and table["nets.unetpp"].teaches == "12"
    assert table["tiling.plan"].teaches == "05"
    files = {file.name[:2] for file in pairs.chapters()}
    assert {number for row in table.values() for number in row.used} <= files
    assert all(row.teaches in row.used or (not row.used and row.teaches is None) for row in table.values())


def test_the_table_is_printed_and_an_unknown_name_is_told(capsys):
    assert taught.main(["weightmap.weight_map"]) == 0
    assert re.search(r"^weightmap\.weight_map +09 +.*09", capsys.readouterr().out, re.MULTILINE)
    assert taught.main(["weightmap.nothing"]) == 1
    assert "weightmap.nothing is no public name" in capsys.readouterr().err
