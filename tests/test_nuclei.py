"""The nucleus recipes: kinds, fields and split of the images, training tiles, scores, and a whole quick run."""

import json

import cv2
import numpy as np
import pytest
from scipy import ndimage

from unetbook import __main__, labels, nets, scores, sizes, store
from unetbook.datasets import synthetic
from unetbook.recipes import _fields, _lab, _nuclei, dsb2018_unet, dsb2018_unetpp, dsb2018_unseen

RECIPES = {recipe.NAME: recipe for recipe in (dsb2018_unet, dsb2018_unetpp)}


def drawn(count, seed, size=64):
    """Gray pictures (N, H, W) in [0, 1] and their nuclei."""
    images, nuclei = synthetic.nuclei(count, size, seed=seed)
    return np.clip(images[..., 0], 0, 1), nuclei


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small data set in the challenge's layout: 20 fluorescent, 10 stained and 10 bright-field images."""
    root = tmp_path_factory.mktemp("data")
    gray, nuclei = drawn(40, seed=5)
    gray = np.where(np.median(gray, axis=(1, 2), keepdims=True) > 0.5, 1 - gray, gray)
    for number, (image, objects) in enumerate(zip(gray, nuclei, strict=True)):
        shown = np.dstack([image] * 3) * 0.4
        if number >= 20:
            shown = 1 - shown
        if number >= 30:
            shown = shown * [0.95, 0.8, 0.9]
        place = root / "dsb2018" / "stage1_train" / f"image{number:02}"
        for name in ("images", "masks"):
            (place / name).mkdir(parents=True)
        cv2.imwrite(str(place / "images" / f"{place.name}.png"), np.round(255 * shown[..., ::-1]).astype(np.uint8))
        for label in np.unique(objects[objects > 0]):
            cv2.imwrite(str(place / "masks" / f"{label:03}.png"), np.uint8(255 * (objects == label)))
    return root


@pytest.fixture(scope="module")
def data(folder):
    return _nuclei.load(folder)


def test_kinds_are_told_by_color_ground_and_size(data):
    kinds = [picture.kind for picture in data.values()]
    assert kinds == ["fluorescence, other sizes"] * 20 + ["bright-field"] * 10 + ["stained"] * 10
    dark = np.full((256, 256, 3), 0.1)
    assert _nuclei.kind(dark) == "fluorescence, 256 x 256"
    assert _nuclei.kind(dark[:, :200]) == "fluorescence, other sizes"
    assert _nuclei.kind(1 - dark) == "bright-field"


def test_pictures_look_alike_and_keep_their_nuclei(data):
    _, nuclei = drawn(40, seed=5)
    for picture, objects in zip(data.values(), nuclei, strict=True):
        assert picture.image.dtype == np.float16 and picture.image.shape == (64, 64, 3)
        assert len(np.unique(picture.nuclei)) == len(np.unique(objects))
        assert np.array_equal(picture.nuclei > 0, objects > 0)
        gray = picture.image.mean(axis=2, dtype=np.float32)
        assert np.median(gray) < 0.5


def test_tiles_of_one_photograph_are_one_field():
    rng = np.random.default_rng(1)
    whole = [ndimage.gaussian_filter(rng.random((512, 512)), 4)[..., None] for _ in range(3)]
    tiles = [w[top : top + 256, left : left + 256] for w in whole for top in (0, 256) for left in (0, 256)]
    order = rng.permutation(len(tiles))
    found, truth = np.array(_fields.same_field([tiles[k] for k in order])), order // 4
    assert len(set(found)) == 3 and all(len(set(found[truth == k])) == 1 for k in range(3))


def test_two_photographs_of_one_place_are_one_field():
    rng = np.random.default_rng(2)
    images = [image[..., None] for image in drawn(4, seed=2)[0]]
    again = np.clip(images[1] * 0.8 + rng.normal(0, 0.01, images[1].shape), 0, 1)
    assert _fields.same_field([*images, again]) == [0, 1, 2, 3, 1]


def test_images_without_contrast_or_of_other_sizes_are_fields_of_their_own():
    blank = np.zeros((32, 32, 1))
    assert _fields.same_field([blank, blank, np.zeros((32, 40, 1)), np.full((32, 32, 1), 0.5)]) == [0, 1, 2, 3]


def test_split_keeps_fields_whole_and_kinds_in_proportion(data):
    moved = {id_: p._replace(field=n // 2 if n < 20 else n) for n, (id_, p) in enumerate(data.items())}
    parts = _nuclei.split(moved)
    assert sorted(id_ for part in parts.values() for id_ in part) == sorted(data)
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not {moved[id_].field for id_ in parts[one]} & {moved[id_].field for id_ in parts[other]}
    for kind in {picture.kind for picture in data.values()}:
        counts = [sum(moved[id_].kind == kind for id_ in part) for part in parts.values()]
        assert counts[0] >= 0.6 * sum(counts) and min(counts) > 0
    assert _nuclei.split(moved) == parts


def test_rare_kinds_are_drawn_more_often_and_targets_have_gaps(data):
    settings = dsb2018_unet.SETTINGS | dsb2018_unet.QUICK
    parts = {"train": list(data)[:28] + list(data)[30:32]}  # 20, 8 and 2
    tiles = _nuclei.batches(data, parts, settings, seed=0)
    assert len(tiles.images) == 20 + 2 * 8 + 3 * 2
    for target, weights, id_ in zip(tiles.labels[:20], tiles.weights[:20], parts["train"][:20], strict=True):
        apart = labels.separate(data[id_].nuclei.astype(np.int32))
        assert np.array_equal(target > 0, apart > 0) and weights.min() >= 1
    images, target, weights = tiles[0]
    assert images.shape == (1, 64, 64, 3) and target.shape == weights.shape == (1, 64, 64)
    assert images.dtype == np.float32 and set(np.unique(target)) <= {0, 1}


def test_a_perfect_answer_scores_one_and_merged_nuclei_cost(data):
    chosen = list(data)[:6]
    perfect = _nuclei.scored({id_: data[id_].nuclei for id_ in chosen}, data)
    assert perfect["scores"] == {"dsb": 1, "f": 1, "iou": 1}
    assert perfect["kinds"] == {"fluorescence, other sizes": {"images": 6, "dsb": 1, "f": 1, "iou": 1}}
    merged = {id_: labels.connected(data[id_].nuclei > 0) for id_ in chosen}
    found = _nuclei.scored(merged, data)
    truths = [data[id_].nuclei.astype(np.int32) for id_ in chosen]
    assert found["scores"]["iou"] == 1 and found["scores"]["dsb"] < 1
    assert found["scores"]["dsb"] == pytest.approx(scores.dsb_score(truths, list(merged.values())))
    pooled = [scores.objects(t, m) for t, m in zip(truths, merged.values(), strict=True)]
    matched, wrong = sum(row.matched for row in pooled), sum(row.missed + row.extra for row in pooled)
    assert found["scores"]["f"] == pytest.approx(2 * matched / (2 * matched + wrong))


def test_choices_come_from_the_best_score(data):
    truths = {id_: data[id_].nuclei for id_ in list(data)[:4]}
    apart = {id_: labels.separate(t.astype(np.int32)) > 0 for id_, t in truths.items()}
    gray = {id_: np.where(inside, 0.55, 0.0).astype(np.float32) for id_, inside in apart.items()}
    for probability in gray.values():
        probability[:3, :3] = 0.55  # a speck of 9 pixels
    chosen = _nuclei.choose(gray, data)
    assert chosen["way"] == "regrow" and chosen["threshold"] <= 0.5 and chosen["smallest"] >= 10


@pytest.mark.parametrize("name", RECIPES)
def test_a_quick_run_writes_scores_choices_and_weights(name, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    assert __main__.main(["run", name, "--quick", "--seeds", "0"]) == 0
    assert "dsb at least 0.55: NOT met (a quick run: means nothing)" in capsys.readouterr().out
    result = json.loads((tmp_path / f"runs/quick/{name}.json").read_text())
    entry = result["seeds"]["0"]
    assert set(entry["scores"]) == {"dsb", "f", "iou"} and set(entry["images"]) == set(result["split"]["test"])
    assert set(entry["choices"]) == {"way", "threshold", "smallest"} and "without_averaging" in entry
    assert len(entry["curves"]["val_dsb"]) == 2 and set(result["baselines"]) >= {"constant", "otsu"}
    assert result["baselines"]["otsu and watershed"]["scores"]["dsb"] > result["baselines"]["constant"]["scores"]["dsb"]
    model = store.load(tmp_path / f"runs/quick/weights/{name}.keras")
    assert model.metadata["normalize"] == "bright_on_dark" and model.metadata["choices"] == entry["choices"]
    if name == "dsb2018-unetpp":
        assert list(entry["heads"]) == ["L1", "L2"]
        work = [head["multiply_adds"] for head in entry["heads"].values()]
        assert work[0] < work[1] and all(head["seconds"] > 0 for head in entry["heads"].values())


def test_the_two_networks_cost_the_same():
    side, work = 256, []
    for recipe in RECIPES.values():
        s = recipe.SETTINGS
        options = {"filters": s["filters"], "depth": s["depth"], "normalization": s["normalization"]}
        if recipe is dsb2018_unet:
            work.append(sizes.multiply_adds(nets.unet((side, side, 3), 2, padding="same", **options)))
        else:
            work.append(sizes.multiply_adds(nets.unetpp((side, side, 3), 2, **options)))
    assert 0.9 < work[1] / work[0] < 1.1


def test_a_kind_that_was_left_out_is_scored_and_not_trained_on(data, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setattr(dsb2018_unseen, "ARMS", {"without stained": {"left_out": "stained"}})
    monkeypatch.setattr(dsb2018_unseen, "data", lambda settings, seed: data)
    trained, batches = [], _nuclei.batches
    monkeypatch.setattr(_nuclei, "batches", lambda d, s, *rest: trained.extend(s["train"]) or batches(d, s, *rest))
    result = _lab.run(dsb2018_unseen, out=tmp_path, quick=True)
    entry = result["seeds"]["0"]["arms"]["without stained"]
    kinds = {id_: picture.kind for id_, picture in data.items()}
    assert {kinds[id_] for id_ in entry["images"]} == {"stained"}
    assert {kinds[id_] for id_ in trained} == {"fluorescence, other sizes", "bright-field"}
    assert len(entry["data"][0]["sha256"]) == 64


def test_kinds_that_are_left_out_are_those_that_there_are():
    assert set(dsb2018_unseen.KINDS) >= {_nuclei.kind(np.full((*size, 3), 0.1)) for size in _nuclei.USUAL_SIZES}
    with pytest.raises(ValueError, match="no test image of kind"):
        dsb2018_unseen.measure({}, {"left_out": "stained"}, dsb2018_unet.SETTINGS, 0)
