"""The lesion recipes: folds, squeezed pictures, scores at the pictures' own size, and whole quick runs."""

import json

import cv2
import keras
import numpy as np
import pytest

from unetbook import __main__, application, nets, resizing, scores, sizes, store
from unetbook.datasets import synthetic
from unetbook.recipes import _keep, _lesions, isic2017_improved, isic2017_study, isic2017_unet

RECIPES = (isic2017_study, isic2017_improved, isic2017_unet)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """15 lesions of 64 x 96 pixels in the challenge's layout."""
    root = tmp_path_factory.mktemp("data")
    images, lesions = synthetic.lesions(15, 96, seed=4)
    for name in ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"):
        (root / "isic2017" / name).mkdir(parents=True)
    for number, (image, lesion) in enumerate(zip(images[:, 16:80], lesions[:, 16:80], strict=True)):
        id_, place = f"ISIC_{number:07}", root / "isic2017"
        shown = np.round(255 * image.clip(0, 1)).astype(np.uint8)[..., ::-1]
        cv2.imwrite(str(place / "ISIC-2017_Validation_Data" / f"{id_}.jpg"), shown)
        mask = np.uint8(255 * (lesion > 0))
        cv2.imwrite(str(place / "ISIC-2017_Validation_Part1_GroundTruth" / f"{id_}_segmentation.png"), mask)
    return root


@pytest.fixture(scope="module")
def data(folder):
    return _lesions.load(folder)


def test_each_image_is_tested_in_one_fold_and_learned_from_in_three(data):
    parts = _lesions.split(data)
    folds = [_lesions.fold(parts, number) for number in _lesions.FOLDS]
    tested = [id_ for fold in folds for id_ in fold["test"]]
    assert sorted(tested) == sorted(data) and [len(fold["test"]) for fold in folds] == [3] * 5
    for fold in folds:
        assert sorted(id_ for part in fold.values() for id_ in part) == sorted(data)  # in one part each
        assert [len(part) for part in fold.values()] == [9, 3, 3]
    learned = [id_ for fold in folds for id_ in fold["train"]]
    assert all(learned.count(id_) == 3 for id_ in data)


def test_squeezed_and_stretched_back_a_picture_keeps_its_places():
    ramp = np.dstack([np.tile(np.linspace(0, 1, 90, dtype=np.float32), (60, 1))] * 2)
    assert resizing.squeezed(ramp, 30).shape == (30, 30, 2) and resizing.squeezed(ramp[..., :1], 120).shape[2] == 1
    assert np.allclose(resizing.squeezed(ramp, 30)[:, 0, 0], ramp[0, :3, 0].mean(), atol=1e-6)  # the mean of three
    back = resizing.stretched(resizing.squeezed(ramp, 30), 60, 90)
    assert back.shape == ramp.shape and np.abs(back - ramp)[:, 2:-2].max() < 1e-2
    numbered = np.kron(np.arange(70_000, 70_004).reshape(2, 2), np.ones((15, 15), int))
    larger = resizing.stretched_labels(numbered, 60, 90)
    assert larger.shape == (60, 90) and larger.dtype == np.int32
    assert np.array_equal(np.unique(larger), np.unique(numbered))  # none is mixed
    with pytest.raises(ValueError, match="a side of 0 pixels"):
        resizing.squeezed(ramp, 0)


def test_masks_to_learn_from_stay_masks(data):
    settings = isic2017_improved.SETTINGS | {"side": 32, "batch": 3, "steps": 1}
    images, masks = _lesions.batches(data, {"train": list(data)[:5]}, settings, seed=0)[0]
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.float32
    assert masks.shape == (3, 32, 32) and set(np.unique(masks)) == {0, 1}


def test_scores_are_those_of_the_pictures_own_size(data):
    perfect = _lesions.scored({id_: picture.lesion > 0 for id_, picture in data.items()}, data)
    assert perfect["scores"] == {"dice": 1, "jaccard": 1, "thresholded": 1, "pooled_dice": 1}
    squeezed = {
        id_: resizing.stretched(resizing.squeezed(picture.lesion, 16), *picture.lesion.shape)[..., 0] >= 0.5
        for id_, picture in data.items()
    }
    found = _lesions.scored(squeezed, data)
    each = [scores.dice(data[id_].lesion > 0, mask) for id_, mask in squeezed.items()]
    assert found["scores"]["dice"] == pytest.approx(np.mean(each)) and 0.8 < np.mean(each) < 1
    pooled = scores.dice(np.stack([p.lesion > 0 for p in data.values()]), np.stack(list(squeezed.values())))
    assert found["scores"]["pooled_dice"] == pytest.approx(pooled)
    image = found["images"]["ISIC_0000000"]
    assert image["lesion"] == pytest.approx(data["ISIC_0000000"].lesion.mean(dtype=float))


def test_the_threshold_comes_from_the_validation_images(data, monkeypatch):
    ids = list(data)
    split = {"validation": ids[:4], "test": ids[4:8]}

    def answer(model, image, side, averaged):
        picture = next(one for one in data.values() if one.image is image)
        wide = cv2.dilate(picture.lesion.astype(np.uint8), np.ones((9, 9), np.uint8))
        return np.where(picture.lesion > 0, 0.9, np.where(wide, 0.55, 0.0))

    monkeypatch.setattr(_lesions, "probability", answer)
    found = _lesions.evaluate(None, data, split, 32, True)
    assert found["without_averaging"]["scores"] == found["scores"]
    assert "without_averaging" not in _lesions.evaluate(None, data, split, 32, False)
    assert found["choices"] == {"threshold": 0.6} and found["scores"]["dice"] == 1
    assert set(found["images"]) == set(split["test"])


def test_averaging_turns_the_square_not_the_picture(data):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    image = data["ISIC_0000001"].image
    one, eight = (_lesions.probability(model, image, 32, averaged) for averaged in (False, True))
    assert one.shape == image.shape[:2] and np.allclose(one, eight, atol=1e-5)  # a network of single pixels


def test_the_dark_side_is_the_lesion(data):
    parts = _lesions.split(data)
    answers = _lesions.baselines(dict(data) | {"ISIC_9999999": next(iter(data.values()))}, parts)
    assert answers["otsu"]["scores"]["dice"] > answers["constant"]["scores"]["dice"] > 0.1
    for one in answers.values():  # those of the split, whatever else lies in the folder
        assert set(one["images"]) == set(data)


def test_where_most_lesions_lie_and_what_lies_inside():
    lesions = np.zeros((4, 100, 200), np.int8)
    lesions[:3, 40:60, 80:120] = 1
    lesions[:, 30:70, 60:140] |= np.array([0, 0, 1, 1], np.int8)[:, None, None]
    usual = _lesions._usual(list(lesions))[..., 0]
    assert usual[32, 32] == 1 and usual[:19].max() == usual[:, -18:].max() == 0
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = mask[8:12, 8:12] = mask[15, 15] = True
    assert _lesions._largest_inside(mask).sum() == 16
    assert np.array_equal(_lesions._largest_inside(mask[:, :5]), mask[:, :5])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.NAME)
def test_a_quick_run_of_two_folds(recipe, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setitem(recipe.SETTINGS, "side", 32)  # of validation and test
    assert __main__.main(["run", recipe.NAME, "--quick", "--seeds", "0", "3"]) == 0
    assert "dice at least 0.8" in capsys.readouterr().out
    result = json.loads((tmp_path / f"runs/quick/{recipe.NAME}.json").read_text())
    assert list(result["split"]) == [f"part {number}" for number in range(5)]
    for number in (0, 3):
        entry = result["seeds"][str(number)]
        assert set(entry["images"]) == set(result["split"][f"part {number}"])
        assert {"dice", "jaccard", "thresholded", "pooled_dice"} == set(entry["scores"])
        assert len(entry["curves"]["val_dice"]) == 2 and "threshold" in entry["choices"]
        assert ("without_averaging" in entry) == (recipe is not isic2017_study)
    assert set(result["baselines"]["otsu"]["images"]) == {f"ISIC_{number:07}" for number in range(15)}
    path = tmp_path / f"runs/quick/weights/{recipe.NAME}.keras"
    assert path.exists() == (recipe is isic2017_improved)
    if path.exists():
        model = store.load(path)
        assert result["kept"]["seed"] == 0  # folds cannot be compared: it is the first
        kept = result["seeds"]["0"]
        assert model.metadata["choices"] == kept["choices"]
        model.metadata["side"] = 32
        picture = next(iter(_lesions.load(folder).values()))
        found = application.answer(model, picture.image.astype(np.float32))
        expected = _lesions.probability(model, picture.image, 32, averaged=True) >= kept["choices"]["threshold"]
        assert np.array_equal(found, expected.astype(np.int32))


def test_of_folds_the_first_is_kept_whatever_the_others_validation_says(data, tmp_path, monkeypatch):
    monkeypatch.setitem(isic2017_improved.SETTINGS, "side", 32)
    seeds, model = {}, isic2017_improved.build(isic2017_improved.SETTINGS | isic2017_improved.QUICK)
    for seed, loss in (("3", 0.1), ("0", 0.9)):
        folder = tmp_path / "runs" / isic2017_improved.NAME / f"seed-{seed}"
        folder.mkdir(parents=True)
        model.save(folder / "epoch-001.keras")
        seeds[seed] = {"curves": {"val_loss": [loss]}, "commit": "", "date": "", "scores": {}}
    result = {"seeds": seeds, "settings": isic2017_improved.SETTINGS | isic2017_improved.QUICK}
    parts = _lesions.split(data)
    kept = _keep.keep_best(
        isic2017_improved, result, data, lambda seed: _lesions.fold(parts, seed), tmp_path / "runs", tmp_path
    )
    assert kept["seed"] == 0 and store.load(tmp_path / "weights" / kept["file"]).metadata["seed"] == 0


def test_the_two_networks_cost_the_same():
    improved, plain = isic2017_improved.SETTINGS, isic2017_unet.SETTINGS
    shape = (improved["side"], improved["side"], 3)
    one = sizes.multiply_adds(nets.improved_unet(shape, 1, improved["filters"]))
    options = {name: plain[name] for name in ("filters", "depth", "normalization")}
    assert 0.9 < sizes.multiply_adds(nets.unet(shape, 1, padding="same", **options)) / one < 1.1
