"""The lesion recipes: folds, squeezed pictures, scores at the pictures' own size, and whole quick runs."""

import json

import cv2
import keras
import numpy as np
import pytest

from unetbook import __main__, averaging, instances, nets, normalize, resizing, scores, sizes, store
from unetbook.datasets import isic2017, synthetic
from unetbook.recipes import _keep, _lesions, _lesions_scores, isic2017_improved, isic2017_study, isic2017_unet
from unetbook.segmenter import Segmenter

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


def test_each_part_has_its_share_of_each_kind_and_of_large_lesions(data):
    of_size = sorted(data, key=lambda id_: data[id_].lesion.mean(dtype=float))
    kinds = {id_: _lesions.KINDS[number % 3][1] for number, id_ in enumerate(of_size)}
    parts = _lesions.split({id_: data[id_]._replace(kind=kinds[id_]) for id_ in reversed(of_size)})
    for part in parts.values():
        assert sorted(kinds[id_] for id_ in part) == sorted(name for _, name in _lesions.KINDS[:3])
    parts = _lesions.split(data)  # all of one kind: each part has one of the five largest
    assert all(len(set(of_size[-5:]) & set(part)) == 1 for part in parts.values())


def test_kinds_are_told_by_the_ids():
    found = [_lesions.kind(f"ISIC_{number:07}") for number in (1769, 8025, 9995, 12099, 14428, 14568)]
    assert found == [_lesions.KINDS[k][1] for k in (0, 0, 1, 2, 2, 3)]


def test_images_of_the_publisher_are_made_smaller(monkeypatch, folder):
    monkeypatch.setattr(_lesions, "LONGEST", 48)
    small, own = _lesions.load(folder), isic2017.load(folder)
    for sample in own:
        picture = small[sample.id]
        assert picture.image.shape == (32, 48, 3) and picture.lesion.shape == (32, 48)
        assert picture.lesion.mean(dtype=float) == pytest.approx(sample.labels.mean(), rel=0.1, abs=0.02)
        assert set(np.unique(picture.lesion)) == {0, 1}


def test_colors_change_and_masks_stay(data):
    settings = isic2017_improved.SETTINGS | {"side": 32, "batch": 8, "steps": 1}
    split = {"train": list(data)[:2]}
    changed = _lesions.batches(data, split, settings, seed=0)[0][0]
    same = _lesions.batches(data, split, settings | {"color": 0}, seed=0)[0][0]
    ratio = np.median(changed / np.maximum(same, 0.05), axis=(1, 2))
    assert ratio.shape == (8, 3) and 0.89 < ratio.min() < 0.97 and 1.03 < ratio.max() < 1.11
    assert np.ptp(ratio, axis=1).min() > 0  # each channel by itself


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
    perfect = _lesions_scores.scored({id_: picture.lesion > 0 for id_, picture in data.items()}, data)
    assert perfect["scores"] == {"dice": 1, "jaccard": 1, "thresholded": 1, "pooled_dice": 1}
    squeezed = {
        id_: resizing.stretched(resizing.squeezed(picture.lesion, 16), *picture.lesion.shape)[..., 0] >= 0.5
        for id_, picture in data.items()
    }
    found = _lesions_scores.scored(squeezed, data)
    each = [scores.dice(data[id_].lesion > 0, mask) for id_, mask in squeezed.items()]
    assert found["scores"]["dice"] == pytest.approx(np.mean(each)) and 0.8 < np.mean(each) < 1
    pooled = scores.dice(np.stack([p.lesion > 0 for p in data.values()]), np.stack(list(squeezed.values())))
    assert found["scores"]["pooled_dice"] == pytest.approx(pooled)
    image, picture = found["images"]["ISIC_0000000"], data["ISIC_0000000"]
    assert image["lesion"] == pytest.approx(picture.lesion.mean(dtype=float)) and not image["touches"]
    gray = picture.image.mean(axis=2) / 255
    expected = gray[picture.lesion == 0].mean() - gray[picture.lesion == 1].mean()
    assert image["contrast"] == pytest.approx(expected, abs=1e-3) and image["kind"] == "colored stickers"
    whole = picture._replace(lesion=np.ones_like(picture.lesion))
    row = _lesions_scores.scored({"a": whole.lesion > 0}, {"a": whole})["images"]["a"]
    assert row["touches"] and row["contrast"] == 0 and row["dice"] == 1


def test_the_threshold_comes_from_the_validation_images(data, monkeypatch):
    ids = list(data)
    split = {"validation": ids[:4], "test": ids[4:8]}

    def answer(reader, image, once=False):
        """At the size of the image, which ``labels`` then leaves."""
        picture = next(one for one in data.values() if one.image is image)
        wide = cv2.dilate(picture.lesion.astype(np.uint8), np.ones((9, 9), np.uint8))
        found = np.where(picture.lesion > 0, 0.9, np.where(wide, 0.55, 0.0))
        found[:4, :4] = 0.95  # a mole that is not meant
        return found[..., None].astype(np.float32)

    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    monkeypatch.setattr(Segmenter, "maps", answer)
    monkeypatch.setattr(_lesions_scores, "_otherwise", lambda *of: {"otherwise": "is tested below"})
    found = _lesions_scores.evaluate(model, data, split, 32, True)
    assert found["without_averaging"]["scores"] == found["scores"]
    assert "without_averaging" not in _lesions_scores.evaluate(model, data, split, 32, False)
    assert found["choices"] == {"threshold": 0.6} and found["scores"]["dice"] == 1 > found["all_pieces"]["dice"]
    assert set(found["images"]) == set(split["test"])
    every = _lesions_scores.evaluate(model, data, split, 32, False, whole=False)
    assert "all_pieces" not in every and every["scores"] == found["all_pieces"]
    assert found["otherwise"] == {"otherwise": "is tested below"}
    judged = _lesions_scores.validate(model, data, split | {"train": ids[8:]}, 32)
    assert judged["val_dice"] < 1 and set(judged) == {"val_loss", "val_dice", "train_loss", "train_dice"}


def test_dice_in_the_square_by_hand():
    lesion = np.zeros((4, 4), np.int8)
    lesion[:2] = 1
    picture = _lesions.Picture(np.zeros((4, 4, 3), np.uint8), lesion, "ruler")
    answers = {"a": np.where(lesion, 0.75, 0.25), "b": np.where(lesion, 1.0, 0.0)}
    data = {"a": picture, "b": picture._replace(image=picture.image + 1)}

    class Reader:
        def maps(self, image, once):
            assert once
            return answers["a" if image.max() == 0 else "b"][..., None]

    found = _lesions_scores._otherwise(Reader(), data, ["a", "b"])
    assert found == pytest.approx(
        {"square_dice": 1, "square_pooled": 1, "soft_dice": (0.75 + 1) / 2, "soft_pooled": (2 * 6 + 2 * 8) / (16 + 16)}
    )


def test_averaging_turns_the_square_not_the_picture(data):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    image = data["ISIC_0000001"].image
    one, eight = (
        _lesions_scores.segmenter(model, 32, averaged).probabilities(image)[..., 0] for averaged in (False, True)
    )
    assert one.shape == image.shape[:2] and np.allclose(one, eight, atol=1e-5)  # a network of single pixels


def test_the_dark_side_is_the_lesion(data):
    parts = _lesions.split(data)
    answers = _lesions_scores.baselines(dict(data) | {"ISIC_9999999": next(iter(data.values()))}, parts)
    assert answers["otsu"]["scores"]["dice"] > answers["constant"]["scores"]["dice"] > 0.1
    assert answers["truth by way of 192 x 192"]["scores"]["dice"] > 0.99
    for one in answers.values():  # those of the split, whatever else lies in the folder
        assert set(one["images"]) == set(data)


def test_where_most_lesions_lie_and_what_lies_inside():
    lesions = np.zeros((4, 100, 200), np.int8)
    lesions[:3, 40:60, 80:120] = 1
    lesions[:, 30:70, 60:140] |= np.array([0, 0, 1, 1], np.int8)[:, None, None]
    usual = _lesions_scores._usual(list(lesions))[..., 0]
    assert usual[32, 32] == 1 and usual[:19].max() == usual[:, -18:].max() == 0
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = mask[8:12, 8:12] = mask[15, 15] = True
    assert _lesions_scores._largest_inside(mask).sum() == 16
    assert np.array_equal(_lesions_scores._largest_inside(mask[:, :5]), mask[:, :5])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.NAME)
def test_a_quick_run_of_folds(recipe, folder, tmp_path, monkeypatch, capsys, eager_training):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setitem(recipe.SETTINGS, "side", 32)  # of validation and test
    monkeypatch.setattr(_lesions_scores, "FIRST", 2)
    folds = ["0", "3"] if recipe is isic2017_improved else ["3"]
    assert __main__.main(["run", recipe.NAME, "--quick", "--seeds", *folds]) == 0
    assert ("dice at least 0.8" in capsys.readouterr().out) == (recipe is isic2017_improved)
    result = json.loads((tmp_path / f"runs/quick/{recipe.NAME}.json").read_text())
    assert list(result["split"]) == [f"part {number}" for number in range(5)]
    for number in folds:
        entry = result["seeds"][number]
        assert set(entry["images"]) == set(result["split"][f"part {number}"])
        assert {"dice", "jaccard", "thresholded", "pooled_dice"} == set(entry["scores"])
        assert len(entry["curves"]["val_dice"]) == 2 and "threshold" in entry["choices"]
        assert ("without_averaging" in entry) == (recipe is not isic2017_study)
    assert set(result["baselines"]["otsu"]["images"]) == {f"ISIC_{number:07}" for number in range(15)}
    path = tmp_path / f"runs/quick/weights/{recipe.NAME}.keras"
    assert path.exists() == (recipe is isic2017_improved)
    if path.exists():
        segmenter = Segmenter(store.load(path))
        assert result["kept"]["seed"] == 0  # folds cannot be compared: it is the first
        kept = result["seeds"]["0"]
        assert segmenter.passport["choices"] == {"way": "one_piece", **kept["choices"]}
        segmenter = Segmenter(segmenter.model, segmenter.passport | {"side": 32})
        picture = next(iter(_lesions.load(folder).values()))
        square = resizing.squeezed(normalize.as_floats(picture.image), 32)
        said = averaging.eight(
            lambda shown: nets.probabilities(segmenter.model.predict_on_batch(shown[None]))[0], square
        )
        seen = resizing.stretched(said, *picture.image.shape[:2])[..., 0]
        expected = instances.one_piece(seen, kept["choices"]["threshold"])
        assert np.array_equal(segmenter(picture.image), expected.astype(np.int32))


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
    assert options["normalization"] == "instance"  # that of the Improved U-Net
    assert 0.9 < sizes.multiply_adds(nets.unet(shape, 1, padding="same", **options)) / one < 1.1
