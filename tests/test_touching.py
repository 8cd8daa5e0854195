"""The recipes of touching cells: places, targets, scores at the pictures' own size, and whole quick runs."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile

from unetbook import __main__, application, labels, resizing, scores, store
from unetbook.datasets import synthetic
from unetbook.recipes import _touching, usiigaci_border, usiigaci_no_weights, usiigaci_weights

RECIPES = (usiigaci_weights, usiigaci_no_weights, usiigaci_border)
SIDE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten pictures of touching cells in the authors' layout, twice the size that is worked on."""
    root = tmp_path_factory.mktemp("data")
    images, cells = synthetic.cells(10, SIDE, seed=8)
    for number, (image, objects) in enumerate(zip(images[..., 0], cells, strict=True), start=1):
        place = root / "usiigaci" / ("train" if number < 9 else "val") / f"set{number}"
        place.mkdir(parents=True)
        larger = cv2.resize(image.clip(0, 1), (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_LINEAR)
        tifffile.imwrite(place / "raw.tif", np.round(65535 * larger).astype(np.uint16))
        cv2.imwrite(str(place / "instances_ids.png"), np.kron(objects, np.ones((2, 2))).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def data(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_touching, "SIDE", SIDE)
        return _touching.load(folder)


def test_pictures_are_squeezed_and_keep_their_cells(data):
    picture = data["train/set1"]
    assert picture.image.shape == (SIDE, SIDE, 1) and picture.cells.shape == (SIDE, SIDE)
    assert picture.truth.shape == (2 * SIDE, 2 * SIDE)
    assert len(np.unique(picture.cells)) == len(np.unique(picture.truth))
    again = resizing.stretched_labels(picture.cells, 2 * SIDE, 2 * SIDE)
    assert scores.objects(picture.truth, again).f == 1


def test_objects_that_are_squeezed_are_not_shifted():
    cells = np.zeros((30, 30), np.int32)
    cells[13:17, 5:25] = 1
    for side in (10, 12):
        there = resizing.stretched_labels(cells, side, side)
        assert np.array_equal(there, there[::-1, ::-1]) and there.any()


def test_crumbs_that_break_off_in_squeezing_are_no_cells(monkeypatch):
    cells = np.zeros((2 * SIDE, 2 * SIDE), np.int32)
    cells[20:60, 20:60] = 1
    cells[60:80, 30] = cells[60:80, 51] = 1  # two tails as thin as a pixel, in an even and in an odd column
    cells[80:85, 28:33] = cells[80:85, 49:54] = 1  # and what hangs on them
    sample = SimpleNamespace(id="a", image=np.zeros((2 * SIDE, 2 * SIDE, 1), np.float32), labels=cells)
    monkeypatch.setattr(_touching, "SIDE", SIDE)
    monkeypatch.setattr(_touching, "DATASET", SimpleNamespace(load=lambda root: [sample]))
    squeezed = resizing.stretched_labels(cells, SIDE, SIDE)
    assert labels.relabel(squeezed).max() == 2  # one of the tails is lost, and its end hangs on nothing
    found = _touching.load()["a"].cells
    assert found.max() == 1 and 0 < np.count_nonzero(squeezed) - np.count_nonzero(found) < _touching.CRUMB


def test_two_pictures_of_one_place_are_told_by_its_details():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.5, 0.1, (6, 512, 512, 1)).astype(np.float32)
    assert _touching.places(list(noise)) == list(range(6))
    later = 0.5 * noise[3] + 0.5 * noise[5]  # what stays, and what came
    found = _touching.places([*noise[:5], later, np.zeros((512, 512, 1), np.float32)])
    assert found[3] == found[5] and len(set(found)) == 6


def test_pictures_of_one_place_stay_together(data, monkeypatch):
    monkeypatch.setattr(_touching, "SAME_PLACE", 0.9)  # these are too small for details
    parts = _touching.split(data)
    assert sorted(id_ for part in parts.values() for id_ in part) == sorted(data)
    assert [len(part) for part in parts.values()] == [6, 2, 2] and parts == _touching.split(data)
    for id_ in list(data)[1:]:
        moved = _touching.split(dict(data) | {id_: data["train/set1"]})
        assert any({id_, "train/set1"} <= set(part) for part in moved.values())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.NAME)
def test_targets_differ_and_nothing_else(recipe, data):
    cells = data["train/set1"].cells
    classes, weights = _touching.target(cells, recipe.SETTINGS)
    assert set(np.unique(classes)) == set(range(recipe.SETTINGS["classes"]))
    if recipe is usiigaci_border:
        assert np.array_equal(classes > 0, cells > 0)
    else:
        assert np.array_equal(classes > 0, labels.separate(cells) > 0)
    assert (weights.max() > 3) == (recipe is usiigaci_weights) and weights.min() == 1
    same = set(usiigaci_weights.SETTINGS) - {"way", "w0", "classes"}
    assert all(recipe.SETTINGS[name] == usiigaci_weights.SETTINGS[name] for name in same)


def test_merged_cells_are_counted_at_the_pictures_own_size(data):
    perfect = _touching.scored({id_: picture.cells for id_, picture in data.items()}, data)
    assert perfect["scores"]["f"] == 1 and perfect["scores"]["merged"] == perfect["scores"]["split"] == 0
    merged = _touching.scored({id_: labels.connected(p.cells > 0) for id_, p in data.items()}, data)["scores"]
    truths = [picture.truth for picture in data.values()]
    found = [resizing.stretched_labels(labels.connected(p.cells > 0), 2 * SIDE, 2 * SIDE) for p in data.values()]
    count = sum(len(np.unique(truth)) - 1 for truth in truths)
    expected = sum(scores.object_errors(t, f).merged for t, f in zip(truths, found, strict=True))
    assert merged["cells"] == count and merged["merged"] == pytest.approx(100 * expected / count) and expected > 10
    assert merged["dsb"] == pytest.approx(scores.dsb_score(truths, found)) and merged["dice"] > 0.95


def test_choices_come_from_the_validation_pictures(data, monkeypatch):
    split = {"validation": list(data)[:3], "test": list(data)[3:5]}

    def answer(model, image):
        cells = next(picture.cells for picture in data.values() if picture.image is image)
        inside = np.where(labels.separate(cells) > 0, 0.65, 0.35)
        inside[:4, :4] = 0.65  # a crumb of 16 pixels
        return np.stack([1 - inside, inside], axis=-1)

    monkeypatch.setattr(_touching, "probabilities", answer)
    monkeypatch.setattr(_touching, "_way", lambda model: "regrow")
    found = _touching.evaluate(None, data, split)
    assert 0.4 <= found["choices"]["threshold"] <= 0.6 and found["choices"]["smallest"] >= 25
    assert set(found["images"]) == set(split["test"]) and found["scores"]["f"] > 0.95


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.NAME)
def test_a_quick_run(recipe, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setattr(_touching, "SIDE", SIDE)
    assert __main__.main(["run", recipe.NAME, "--quick", "--seeds", "0"]) == 0
    result = json.loads((tmp_path / f"runs/quick/{recipe.NAME}.json").read_text())
    entry = result["seeds"]["0"]
    assert set(entry["scores"]) == {"f", "dsb", "dice", "merged", "split", "missed", "extra", "cells"}
    assert set(entry["images"]) == set(result["split"]["test"]) and len(entry["curves"]["val_f"]) == 2
    assert entry["choices"]["way"] == recipe.SETTINGS["way"]
    f = {name: one["scores"]["f"] for name, one in result["baselines"].items()}
    assert f["constant"] == 0 < f["otsu and watershed"] < f["truth at half size"] and f["truth at half size"] > 0.9
    path = tmp_path / f"runs/quick/weights/{recipe.NAME}.keras"
    assert path.exists() == (recipe is usiigaci_weights)
    if path.exists():
        model = store.load(path)
        model.metadata["side"] = SIDE
        id_ = result["split"]["test"][0]
        sample = _touching.DATASET.load(folder, ids=[id_])[0]
        found = application.answer(model, sample.image)
        assert scores.object_errors(sample.labels, found).merged * 100 == pytest.approx(
            entry["images"][id_]["merged"] * entry["images"][id_]["cells"], abs=0.01
        )
