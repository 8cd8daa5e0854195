"""The study of lesions: folds, squeezed pictures, scores at the pictures' own size, and whole quick runs."""

import csv
import dataclasses
import json

import cv2
import keras
import numpy as np
import pytest

from studies import training as arms_of
from studies.catalog import ISIC2017
from studies.keep import keep_best
from studies.settings import Read
from studies.tasks import lesions
from unetbook import averaging, instances, nets, normalize, resizing, scores, store
from unetbook.datasets import isic2017, synthetic
from unetbook.segmenter import Segmenter


def settings(arm, **changes):
    """Those of an arm, some of them changed."""
    return Read(ISIC2017.values(arm) | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """15 lesions of 64 x 96 pixels in the challenge's layout."""
    root = tmp_path_factory.mktemp("data")
    images, masks = synthetic.lesions(15, 96, seed=4)
    for name in ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"):
        (root / "isic2017" / name).mkdir(parents=True)
    for number, (image, lesion) in enumerate(zip(images[:, 16:80], masks[:, 16:80], strict=True)):
        id_, place = f"ISIC_{number:07}", root / "isic2017"
        shown = np.round(255 * image.clip(0, 1)).astype(np.uint8)[..., ::-1]
        cv2.imwrite(str(place / "ISIC-2017_Validation_Data" / f"{id_}.jpg"), shown)
        mask = np.uint8(255 * (lesion > 0))
        cv2.imwrite(str(place / "ISIC-2017_Validation_Part1_GroundTruth" / f"{id_}_segmentation.png"), mask)
    return root


@pytest.fixture(scope="module")
def data(folder):
    return lesions.load(None, 0, folder)


def test_each_image_is_tested_in_one_fold_and_learned_from_in_three(data):
    parts = lesions.split(data)
    folds = [lesions.parts(data, parts, None, number) for number in ISIC2017.seeds]
    tested = [id_ for fold in folds for id_ in fold["test"]]
    assert sorted(tested) == sorted(data) and [len(fold["test"]) for fold in folds] == [3] * 5
    for fold in folds:
        assert sorted(id_ for part in fold.values() for id_ in part) == sorted(data)  # in one part each
        assert [len(part) for part in fold.values()] == [9, 3, 3]
    learned = [id_ for fold in folds for id_ in fold["train"]]
    assert all(learned.count(id_) == 3 for id_ in data)


def test_each_part_has_its_share_of_each_kind_and_of_large_lesions(data):
    of_size = sorted(data, key=lambda id_: data[id_].lesion.mean(dtype=float))
    kinds = {id_: isic2017.KINDS[number % 3][1] for number, id_ in enumerate(of_size)}
    parts = lesions.split({id_: data[id_]._replace(kind=kinds[id_]) for id_ in reversed(of_size)})
    for part in parts.values():
        assert sorted(kinds[id_] for id_ in part) == sorted(name for _, name in isic2017.KINDS[:3])
    parts = lesions.split(data)  # all of one kind: each part has one of the five largest
    assert all(len(set(of_size[-5:]) & set(part)) == 1 for part in parts.values())


def test_a_seed_is_a_fold_and_there_are_five(data):
    split = lesions.split(data)
    assert lesions.parts(data, split, None, 4)["test"] == split["part 4"]
    with pytest.raises(ValueError, match="there are the folds 0 to 4, and 5 is none"):
        lesions.parts(data, split, None, 5)


def test_images_of_the_publisher_are_made_smaller(monkeypatch, folder):
    monkeypatch.setattr(lesions, "LONGEST", 48)
    small, own = lesions.load(None, 0, folder), isic2017.load(folder)
    for sample in own:
        picture = small[sample.id]
        assert picture.image.shape == (32, 48, 3) and picture.lesion.shape == (32, 48)
        assert picture.lesion.mean(dtype=float) == pytest.approx(sample.labels.mean(), rel=0.1, abs=0.02)
        assert set(np.unique(picture.lesion)) == {0, 1}


def test_colors_change_and_masks_stay(data):
    parts, of = {"train": list(data)[:2]}, {"side": 32, "batch": 8, "steps": 1}
    changed = lesions.batches(data, parts, settings("improved", **of), seed=0)[0][0]
    same = lesions.batches(data, parts, settings("improved", **of, color=0), seed=0)[0][0]
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
    with pytest.raises(ValueError, match="side must be a whole number of pixels of at least 1, not 0"):
        resizing.squeezed(ramp, 0)


def test_masks_to_learn_from_stay_masks(data):
    of = settings("improved", side=32, batch=3, steps=1)
    images, masks = lesions.batches(data, {"train": list(data)[:5]}, of, seed=0)[0]
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.float32
    assert masks.shape == (3, 32, 32) and set(np.unique(masks)) == {0, 1}


def test_scores_are_those_of_the_pictures_own_size(data):
    perfect = lesions.scored({id_: picture.lesion > 0 for id_, picture in data.items()}, data)
    assert perfect["scores"] == {"dice": 1, "jaccard": 1, "thresholded": 1, "pooled_dice": 1}
    squeezed = {
        id_: resizing.stretched(resizing.squeezed(picture.lesion, 16), *picture.lesion.shape)[..., 0] >= 0.5
        for id_, picture in data.items()
    }
    found = lesions.scored(squeezed, data)
    each = [scores.dice(data[id_].lesion > 0, mask) for id_, mask in squeezed.items()]
    assert found["scores"]["dice"] == pytest.approx(np.mean(each)) and 0.8 < np.mean(each) < 1
    pooled = scores.dice(np.stack([p.lesion > 0 for p in data.values()]), np.stack(list(squeezed.values())))
    assert found["scores"]["pooled_dice"] == pytest.approx(pooled)
    (image,) = (row for row in found["tables"]["images"] if row["image"] == "ISIC_0000000")
    picture = data["ISIC_0000000"]
    assert image["lesion"] == pytest.approx(picture.lesion.mean(dtype=float)) and not image["touches"]
    gray = picture.image.mean(axis=2) / 255
    expected = gray[picture.lesion == 0].mean() - gray[picture.lesion == 1].mean()
    assert image["contrast"] == pytest.approx(expected, abs=1e-3) and image["kind"] == "colored stickers"
    whole = picture._replace(lesion=np.ones_like(picture.lesion))
    (row,) = lesions.scored({"a": whole.lesion > 0}, {"a": whole})["tables"]["images"]
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
    monkeypatch.setattr(lesions, "_otherwise", lambda *of: {"otherwise": "is tested below"})
    averaged, once = (settings("improved", side=32, averaged=averaged) for averaged in (True, False))
    found = lesions.evaluate(model, data, split, averaged)
    assert found["without_averaging"]["scores"] == found["scores"]
    assert "without_averaging" not in lesions.evaluate(model, data, split, once)
    assert found["choices"] == {"threshold": 0.6} and found["scores"]["dice"] == 1 > found["all_pieces"]["dice"]
    assert [row["image"] for row in found["tables"]["images"]] == split["test"]
    every = lesions.evaluate(model, data, split, settings("improved", side=32, averaged=False, one_piece=False))
    assert "all_pieces" not in every and every["scores"] == found["all_pieces"]
    assert found["otherwise"] == {"otherwise": "is tested below"}
    judged = lesions.validate(model, data, split | {"train": ids[8:]}, once)
    assert judged["val_dice"] < 1 and set(judged) == {"val_loss", "val_dice", "train_loss", "train_dice"}


def test_dice_in_the_square_by_hand():
    lesion = np.zeros((4, 4), np.int8)
    lesion[:2] = 1
    picture = lesions.Picture(np.zeros((4, 4, 3), np.uint8), lesion, "ruler")
    answers = {"a": np.where(lesion, 0.75, 0.25), "b": np.where(lesion, 1.0, 0.0)}
    data = {"a": picture, "b": picture._replace(image=picture.image + 1)}

    class Reader:
        def maps(self, image, once):
            assert once
            return answers["a" if image.max() == 0 else "b"][..., None]

    found = lesions._otherwise(Reader(), data, ["a", "b"])
    assert found == pytest.approx(
        {"square_dice": 1, "square_pooled": 1, "soft_dice": (0.75 + 1) / 2, "soft_pooled": (2 * 6 + 2 * 8) / (16 + 16)}
    )


def test_averaging_turns_the_square_not_the_picture(data):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    image = data["ISIC_0000001"].image
    one, eight = (
        Segmenter(model, lesions.passport(settings("study", side=32, averaged=averaged))).probabilities(image)[..., 0]
        for averaged in (False, True)
    )
    assert one.shape == image.shape[:2] and np.allclose(one, eight, atol=1e-5)  # a network of single pixels


def test_the_dark_side_is_the_lesion(data):
    parts = lesions.split(data)
    answers = lesions.baselines(dict(data) | {"ISIC_9999999": next(iter(data.values()))}, parts, settings("study"))
    assert answers["otsu"]["scores"]["dice"] > answers["constant"]["scores"]["dice"] > 0.1
    assert answers["truth by way of 192 x 192"]["scores"]["dice"] > 0.99
    for one in answers.values():  # those of the split, whatever else lies in the folder
        assert sorted(row["image"] for row in one["tables"]["images"]) == sorted(data)


def test_where_most_lesions_lie_and_what_lies_inside():
    masks = np.zeros((4, 100, 200), np.int8)
    masks[:3, 40:60, 80:120] = 1
    masks[:, 30:70, 60:140] |= np.array([0, 0, 1, 1], np.int8)[:, None, None]
    usual = lesions._usual(list(masks))[..., 0]
    assert usual[32, 32] == 1 and usual[:19].max() == usual[:, -18:].max() == 0
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = mask[8:12, 8:12] = mask[15, 15] = True
    assert lesions._largest_inside(mask).sum() == 16
    assert np.array_equal(lesions._largest_inside(mask[:, :5]), mask[:, :5])


@pytest.fixture
def sides(monkeypatch):
    """The sides at which pictures are read in a test: that of the passport, and that of the maps."""
    found, maps = set(), Segmenter.maps

    def noted(reader, *of, **how):
        told = maps(reader, *of, **how)
        found.add((reader.passport["side"], *told.shape[:2]))
        return told

    monkeypatch.setattr(Segmenter, "maps", noted)
    return found


def test_a_quick_run_of_the_improved_unet(folder, monkeypatch, quick_run, sides, eager_training):
    """Which is in two of the arms; all of them are tried below."""
    monkeypatch.setattr(lesions, "FIRST", 2)
    found = quick_run(ISIC2017, folder, "--arms", "improved", "--seeds", "3")
    assert sides == {(32, 32, 32)}  # validated and tested as it is trained
    (entry,) = found.entries().values()
    assert entry["trainable"] > 1000 and np.isfinite(found.curves("improved", 3)["val_loss"]).all()
    kept = Segmenter(store.load(found.path.parent / "weights/isic2017-improved.keras"))
    assert kept.passport["side"] == 32 and kept.model.count_params() == entry["parameters"]


def test_a_quick_run_of_folds(folder, tmp_path, monkeypatch, quick_run, sides, capsys, eager_training):
    """All arms, with a small U-Net in place of the Improved U-Net, which takes long to build and to compile."""

    def small(shape, classes, filters, dropout):
        return nets.unet(shape, classes, filters, depth=1, padding="same", dropout=dropout)

    monkeypatch.setitem(arms_of.NETWORKS, "improved_unet", small)
    monkeypatch.setattr(lesions, "FIRST", 2)
    study = dataclasses.replace(ISIC2017, quick=ISIC2017.quick | {"depth": 1})
    found = quick_run(study, folder, "--seeds", "3", "0")
    assert "improved, dice at least 0.8: NOT met (a quick run" in capsys.readouterr().out
    assert sides == {(32, 32, 32)}
    assert list(found.split) == [f"part {number}" for number in range(5)]
    assert set(found.entries()) == {(arm, fold) for arm in ISIC2017.arms for fold in (3, 0)}
    for (arm, fold), entry in found.entries().items():
        rows = found.rows(arm, fold)
        assert sorted(row["image"] for row in rows) == found.split[f"part {fold}"]
        assert {"dice", "jaccard", "thresholded", "pooled_dice"} == set(entry["scores"])
        assert entry["scores"]["dice"] == pytest.approx(np.mean([row["dice"] for row in rows]), abs=2e-5)
        assert len(found.curves(arm, fold)["val_dice"]) == 2 and "threshold" in entry["choices"]
        assert ("without_averaging" in entry) == ("all_pieces" in entry) == (arm != "study")
    assert {row["image"] for row in found.rows("otsu")} == {f"ISIC_{number:07}" for number in range(15)}
    with (tmp_path / "runs/quick/isic2017.csv").open(newline="") as file:
        rows = [(row["arm"], row["seed"], row["image"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == 3 * 2 * len(ISIC2017.arms) + 15 * len(found.baselines)
    of_baselines = {(name, "") for name in found.baselines}
    assert {row[:2] for row in rows} == of_baselines | {(arm, fold) for arm in ISIC2017.arms for fold in ("3", "0")}
    (path,) = (tmp_path / "runs/quick/weights").iterdir()
    assert (
        path.name == "isic2017-improved.keras" and "kept" not in found.arm("study") and "kept" not in found.arm("unet")
    )
    segmenter = Segmenter(store.load(path))
    assert found.arm("improved")["kept"]["seed"] == 0  # folds cannot be compared: it is the first
    kept = found.entries("improved")[0]
    assert segmenter.passport["choices"] == {"way": "one_piece", **kept["choices"]}
    assert segmenter.passport["side"] == 32
    picture = next(iter(lesions.load(None, 0, folder).values()))
    square = resizing.squeezed(normalize.as_floats(picture.image), 32)
    said = averaging.eight(lambda shown: nets.probabilities(segmenter.model.predict_on_batch(shown[None]))[0], square)
    seen = resizing.stretched(said, *picture.image.shape[:2])[..., 0]
    expected = instances.one_piece(seen, kept["choices"]["threshold"])
    assert np.array_equal(segmenter(picture.image), expected.astype(np.int32))


def test_of_folds_the_first_is_kept_whatever_the_others_validation_says(data, tmp_path):
    of, split, seeds = settings("unet", **ISIC2017.quick, depth=1), lesions.split(data), {}
    model = lesions.build(data, of)
    for fold, loss in (("3", 0.1), ("0", 0.9)):
        folder = tmp_path / "runs" / f"seed-{fold}"
        folder.mkdir(parents=True)
        model.save(folder / "epoch-001.keras")
        state = {"epochs": of.epochs, "checkpoint": "epoch-001.keras", "curves": {"val_loss": [loss]}}
        (folder / "state.json").write_text(json.dumps(state))
        seeds[fold] = {"commit": "", "date": "", "scores": {}}

    def data_of(fold):
        return data, lesions.parts(data, split, of, fold)

    summary, runs = {"arms": {"unet": {"seeds": seeds}}}, tmp_path / "runs"
    kept = keep_best(ISIC2017, "unet", lesions, of, summary, runs, tmp_path, data_of)
    assert kept["seed"] == 0 and store.load(tmp_path / "weights" / kept["file"]).metadata["seed"] == 0
