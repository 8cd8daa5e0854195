"""The nucleus recipes: kinds, fields and split of the images, training tiles, scores, and a whole quick run."""

import json
import types

import cv2
import numpy as np
import pytest
from scipy import ndimage

from unetbook import __main__, instances, labels, nets, normalize, scores, sizes, store
from unetbook.datasets import synthetic
from unetbook.recipes import (
    _fields,
    _lab,
    _nuclei,
    _nuclei_scores,
    dsb2018_choices,
    dsb2018_gaps,
    dsb2018_unet,
    dsb2018_unetpp,
    dsb2018_unseen,
)

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
    assert kinds == ["fluorescence, other sizes"] * 20 + ["gray on light"] * 10 + ["stained"] * 10
    dark = np.full((256, 256, 3), 0.1)
    assert _nuclei.kind(dark) == "fluorescence, 256 x 256"
    assert _nuclei.kind(dark[:, :200]) == "fluorescence, other sizes"


def test_pictures_look_alike_and_keep_their_nuclei(data):
    _, nuclei = drawn(40, seed=5)
    for picture, objects in zip(data.values(), nuclei, strict=True):
        look = _nuclei.look(picture.image)
        assert look.dtype == np.float16 and look.shape == picture.image.shape == (64, 64, 3)
        assert picture.image.dtype == np.uint8  # as in the file
        assert len(np.unique(picture.nuclei)) == len(np.unique(objects))
        assert np.array_equal(picture.nuclei > 0, objects > 0)
        gray = look.mean(axis=2, dtype=np.float32)
        assert np.median(gray) < 0.5


@pytest.mark.parametrize("noise", [0, 0.01])
def test_tiles_of_one_photograph_are_one_field(noise):
    rng = np.random.default_rng(1)
    whole = [ndimage.gaussian_filter(rng.random((512, 512)), 3) for _ in range(3)]
    whole = [0.1 + 0.5 * (one - one.min()) / np.ptp(one) + rng.normal(0, noise, one.shape) for one in whole]
    tiles = [w[top : top + 256, left : left + 256, None] for w in whole for top in (0, 256) for left in (0, 256)]
    order = rng.permutation(len(tiles))
    found, truth = np.array(_fields.same_field([tiles[k] for k in order])), order // 4
    assert len(set(found)) == 3 and all(len(set(found[truth == k])) == 1 for k in range(3))


def test_dim_noise_at_the_margins_joins_nothing():
    rng = np.random.default_rng(4)
    images = [0.01 + rng.normal(0, 0.002, (256, 256, 1)) for _ in range(20)]
    for image in images:  # nuclei in the middle, none at the margins
        top, left = rng.integers(20, 200, 2)
        image[top : top + 30, left : left + 30] += ndimage.gaussian_filter(rng.random((30, 30, 1)), 3)
    assert len(set(_fields.same_field(images))) >= 18


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
    mixed = moved | {"image35": moved["image35"]._replace(field=moved["image00"].field)}
    with pytest.raises(ValueError, match="it cannot stay whole"):
        _nuclei.split(mixed)
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
    assert len(_nuclei.batches(data, parts, dsb2018_gaps.SETTINGS, seed=0).images) == len(tiles.images)
    for target, weights, id_ in zip(tiles.labels[:20], tiles.weights[:20], parts["train"][:20], strict=True):
        apart = labels.separate(data[id_].nuclei.astype(np.int32))
        assert np.array_equal(target > 0, apart > 0) and weights.min() >= 1
    images, target, weights = tiles[0]
    assert images.shape == (1, 64, 64, 3) and target.shape == weights.shape == (1, 64, 64)
    assert images.dtype == np.float32 and set(np.unique(target)) <= {0, 1}


def test_gaps_made_after_the_turn_part_all_nuclei_and_turned_gaps_do_not(data, monkeypatch):
    settings = dsb2018_gaps.SETTINGS | dsb2018_unet.QUICK | {"batch": 8, "steps": 4}
    with_cells, target_of, joined = [], _nuclei._target, {}
    monkeypatch.setattr(_nuclei, "_target", lambda cells, of: with_cells.append(cells) or target_of(cells, of))
    tiles = _nuclei.batches(data, {"train": list(data)}, settings, seed=0)
    assert not with_cells  # nothing is made before the turn
    for index in range(len(tiles)):
        images, target, weights = tiles[index]
        assert images.shape == (8, 64, 64, 3) and target.shape == weights.shape == (8, 64, 64)
        assert target.dtype == np.int8 and weights.dtype == np.float16 and weights.min() >= 1
        cells_of = np.stack(with_cells[-8:])
        joined[index] = sum(_joined(one, cells) for one, cells in zip(target, cells_of, strict=True))
    assert len(with_cells) == 32 and max(len(np.unique(cells)) for cells in with_cells) > 3
    assert sum(joined.values()) == 0
    first = {name: value for name, value in settings.items() if name != "gaps"}
    turned = _nuclei.batches(data, {"train": list(data)}, first, seed=0)
    # In place of the weights travel the nuclei: the same draws take them through the same turns.
    turned.weights = tiles.labels
    assert sum(
        _joined(one, cells) for index in range(len(turned)) for one, cells in zip(*turned[index][1:], strict=True)
    )


def _joined(target, nuclei):
    """Components of a target that hold pixels of two nuclei."""
    inside = labels.connected(target == 1)
    return sum(len(np.unique(nuclei[inside == number])) > 1 for number in range(1, inside.max() + 1))


def test_a_perfect_answer_scores_one_and_merged_nuclei_cost(data):
    chosen = list(data)[:6]
    perfect = _nuclei_scores.scored({id_: data[id_].nuclei for id_ in chosen}, data)
    best = {"dsb": 1, "f": 1, "iou": 1, "merged": 0, "split": 0, "missed": 0, "extra": 0}
    assert perfect["scores"] == best
    assert perfect["kinds"] == {"fluorescence, other sizes": {"images": 6, **best}}
    merged = {id_: labels.connected(data[id_].nuclei > 0) for id_ in chosen}
    found = _nuclei_scores.scored(merged, data)
    truths = [data[id_].nuclei.astype(np.int32) for id_ in chosen]
    assert found["scores"]["iou"] == 1 and found["scores"]["dsb"] < 1
    assert found["scores"]["dsb"] == pytest.approx(scores.dsb_score(truths, list(merged.values())))
    pooled = [scores.objects(t, m) for t, m in zip(truths, merged.values(), strict=True)]
    matched, wrong = sum(row.matched for row in pooled), sum(row.missed + row.extra for row in pooled)
    assert found["scores"]["f"] == pytest.approx(2 * matched / (2 * matched + wrong))
    errors = np.sum([scores.object_errors(t, m) for t, m in zip(truths, merged.values(), strict=True)], axis=0)
    count = sum(row.matched + row.missed for row in pooled)
    assert [found["scores"][name] for name in scores.ObjectErrors._fields] == pytest.approx(100 * errors / count)
    assert found["scores"]["merged"] > 0
    assert sum(row["merged"] for row in found["images"].values()) == errors[0]


def test_ceilings_take_the_truth_the_way_of_a_prediction(data):
    split = {"validation": list(data)[6:12], "test": list(data)[:6]}
    baselines = _nuclei_scores.baselines(data, split)
    ceiling = {name: one["scores"]["dsb"] for name, one in baselines.items()}
    mask, cut = ceiling["truth, as a mask, components"], ceiling["truth, contacts cut, regrown"]
    assert ceiling["constant"] == 0 < ceiling["otsu"] < mask < cut <= 1
    assert 0 < ceiling["otsu, objects as chosen"] < cut
    assert mask < ceiling["truth, contacts cut, watershed"] < cut
    assert set(baselines["otsu, objects as chosen"]["choices"]) >= {"way", "threshold", "smallest"}
    assert mask == pytest.approx(
        _nuclei_scores.scored({id_: labels.connected(data[id_].nuclei > 0) for id_ in split["test"]}, data)["scores"][
            "dsb"
        ]
    )
    assert ceiling["truth, a pixel smaller"] < 0.8
    large = np.roll(np.kron(data["image00"].nuclei, np.ones((9, 9), np.int32)), 4, axis=(0, 1))
    detour = _nuclei_scores._through_256(large)
    assert detour.shape == (576, 576)
    assert 0.9 < scores.iou(detour > 0, large > 0) < 1
    turned = _nuclei_scores._through_256(large[::-1, ::-1])  # nothing is shifted
    assert np.mean((turned > 0)[::-1, ::-1] == (detour > 0)) > 0.995


def test_choices_come_from_the_best_score(data):
    truths = {id_: data[id_].nuclei for id_ in list(data)[:4]}
    apart = {id_: labels.separate(t.astype(np.int32)) > 0 for id_, t in truths.items()}
    gray = {id_: np.where(inside, 0.55, 0.0).astype(np.float32) for id_, inside in apart.items()}
    for probability in gray.values():
        probability[:3, :3] = 0.55  # a speck of 9 pixels
    chosen = _nuclei_scores.choose(gray, data)
    assert chosen["way"] == "regrow" and chosen["threshold"] <= 0.5 and chosen["smallest"] >= 10
    assert _nuclei_scores.choose(gray, data, sizes=(0, 5))["smallest"] == 0  # nothing else was offered that helps


def test_depth_is_chosen_that_parts_two_nuclei_and_leaves_a_waist_whole(monkeypatch):
    rows, columns = np.mgrid[:60, :140]

    def disc(column, radius):
        return (rows - 30) ** 2 + (columns - column) ** 2 <= radius**2

    waist = disc(20, 10) | disc(31, 10)
    nuclei = np.where(waist, 1, np.where(disc(80, 13), 2, np.where(disc(104, 13), 3, 0)))
    probability = np.where(nuclei > 0, 0.9, 0.1).astype(np.float32)
    pictures = dict.fromkeys(("one", "other"), types.SimpleNamespace(nuclei=nuclei, image=probability, kind="drawn"))
    chosen = _nuclei_scores.choose({"one": probability}, pictures)
    assert chosen["way"] == "watershed" and chosen["depth"] > 1
    assert scores.objects(nuclei, instances.from_probabilities(probability, **chosen)).f == 1
    reader = types.SimpleNamespace(maps=lambda image, once=False: image, labels=_nuclei_scores._read)
    monkeypatch.setattr(_nuclei_scores, "segmenter", lambda model: reader)
    entry = _nuclei_scores.evaluate(None, pictures, {"validation": ["one"], "test": ["other"]})
    assert entry["choices"] == entry["once"]["choices"] == chosen and entry["scores"]["f"] == 1
    assert entry["depth_1"]["choices"]["depth"] == 1 and entry["depth_1"]["kinds"]["drawn"]["f"] < 1


@pytest.mark.parametrize("name", RECIPES)
def test_a_quick_run_writes_scores_choices_and_weights(name, folder, tmp_path, monkeypatch, capsys, eager_training):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setitem(dsb2018_unet.QUICK, "steps", 1)
    monkeypatch.setattr(dsb2018_unetpp, "SIDE", 32)  # of the image that heads are timed on
    assert __main__.main(["run", name, "--quick", "--seeds", "0"]) == 0
    assert "dsb at least 0.55: NOT met (a quick run: means nothing)" in capsys.readouterr().out
    result = json.loads((tmp_path / f"runs/quick/{name}.json").read_text())
    entry = result["seeds"]["0"]
    assert set(entry["scores"]) >= {"dsb", "f", "iou"} and set(entry["images"]) == set(result["split"]["test"])
    assert set(entry["choices"]) >= {"way", "threshold", "smallest"} and "once" in entry
    assert len(entry["curves"]["val_dsb"]) == 2 and set(result["baselines"]) >= {"constant", "otsu"}
    baseline = {name: one["scores"]["dsb"] for name, one in result["baselines"].items()}
    assert baseline["otsu, objects as chosen"] > baseline["constant"]
    model = store.load(tmp_path / f"runs/quick/weights/{name}.keras")
    assert model.metadata["normalize"] == "bright_on_dark" and model.metadata["choices"] == entry["choices"]
    if name == "dsb2018-unetpp":
        assert list(entry["heads"]) == ["L1", "L2", "mean"]
        work = [head["multiply_adds"] for head in entry["heads"].values()]
        assert work[0] < work[1] and all(head["seconds"] > 0 for head in entry["heads"].values())
        assert entry["unet"]["multiply_adds"] > work[1] and entry["unet"]["seconds"] > 0


def test_gaps_made_after_the_turn_are_a_run_of_their_own(folder, tmp_path, monkeypatch, eager_training):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    assert __main__.main(["run", "dsb2018-gaps", "--quick", "--seeds", "0"]) == 0
    result = json.loads((tmp_path / "runs/quick/dsb2018-gaps.json").read_text())
    assert result["settings"] == dsb2018_unet.SETTINGS | dsb2018_unet.QUICK | {"gaps": "made after the turn"}
    entry = result["seeds"]["0"]
    assert set(entry["scores"]) >= {"dsb", "f", "iou"} and "once" not in entry and "kept" not in result


def test_heads_answer_as_their_pruned_networks(data):
    model = dsb2018_unetpp.build(dsb2018_unetpp.SETTINGS | dsb2018_unetpp.QUICK)
    image = next(iter(data.values())).image
    answers = dsb2018_unetpp._answers(model, image)
    pruned = {name: nets.prune(model, int(name[1:])) for name in ("L1", "L2")} | {"mean": model}
    assert set(answers) == set(pruned)
    for name, network in pruned.items():
        alone = _nuclei_scores.segmenter(network).maps(image, once=True)
        np.testing.assert_allclose(answers[name], alone, atol=1e-6)
    assert np.abs(answers["L1"] - answers["L2"]).max() > 1e-3
    apart = _nuclei_scores.segmenter(model, "nuclei_of_heads", heads="apart")
    together = _nuclei_scores.segmenter(model)
    assert np.array_equal(apart(image, once=True), together(image, once=True))


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


def test_a_kind_that_was_left_out_is_scored_and_not_trained_on(data, folder, tmp_path, monkeypatch, eager_training):
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    arms = {name: dsb2018_unseen.ARMS[name] for name in (dsb2018_unseen.ALL, "without stained")}
    monkeypatch.setattr(dsb2018_unseen, "ARMS", arms)
    monkeypatch.setattr(dsb2018_unseen, "PAIRS", [])
    monkeypatch.setattr(dsb2018_unseen, "data", lambda settings, seed: (data, _nuclei.split(data)))
    trained, batches = [], _nuclei.batches
    monkeypatch.setattr(_nuclei, "batches", lambda d, s, *rest: trained.append(s["train"]) or batches(d, s, *rest))
    offered, choose = [], _nuclei_scores.choose
    monkeypatch.setattr(_nuclei_scores, "choose", lambda *of, **what: offered.append(what) or choose(*of, **what))
    result = _lab.run(dsb2018_unseen, seeds=[0], out=tmp_path, quick=True)
    assert offered == [{"depths": (1.0,), "sizes": (0, 10, 20, 40)}] * 2  # as the stored run was
    whole, entry = (result["seeds"]["0"]["arms"][name] for name in arms)
    kinds = {id_: picture.kind for id_, picture in data.items()}
    assert {kinds[id_] for id_ in entry["images"]} == set(entry["kinds"]) == {"stained"}
    assert {kinds[id_] for id_ in trained[1]} == {"fluorescence, other sizes", "gray on light"}
    assert len(entry["data"][0]["sha256"]) == 64 and entry["counts"]["train"] == len(trained[1])
    assert set(whole["kinds"]) == {kinds[id_] for id_ in trained[0]} == set(kinds.values())
    assert whole["kinds"]["stained"]["images"] == len(entry["images"])


def test_settings_were_chosen_on_validation_images(data, folder, tmp_path, monkeypatch, eager_training):
    monkeypatch.setenv("UNETBOOK_DATA", str(folder))
    monkeypatch.setattr(dsb2018_choices, "data", lambda settings, seed: (data, _nuclei.split(data)))
    arms = {name: dsb2018_choices.ARMS[name] for name in ("as chosen", "no square root", "border class")}
    monkeypatch.setattr(dsb2018_choices, "ARMS", arms)
    monkeypatch.setattr(dsb2018_choices, "PAIRS", [("border class", "as chosen")])
    seen, batches = [], _nuclei.batches
    monkeypatch.setattr(_nuclei, "batches", lambda d, *rest: seen.append((d, *rest)) or batches(d, *rest))
    result = _lab.run(dsb2018_choices, seeds=[0], out=tmp_path, quick=True)
    entries = result["seeds"]["0"]["arms"]
    assert {name: entry["choices"]["way"] == "border" for name, entry in entries.items()} == {
        "as chosen": False,
        "no square root": False,
        "border class": True,
    }
    validation = _nuclei.split(data)["validation"]
    for entry in entries.values():
        assert sum(kind["images"] for kind in entry["kinds"].values()) == len(validation)
        assert set(entry["seen"]) == set(entry["scores"]) and entry["seen"] != entry["scores"]
    (_, _, as_chosen, _), (_, _, squared, _), (_, _, settings, _) = seen
    one, other = (batches(data, {"train": ["image01"]}, of, 0).images[0] for of in (as_chosen, squared))
    image = data["image01"].image
    assert np.array_equal(one, _nuclei.look(image)) and np.allclose(other, one.astype(float) ** 2, atol=1e-3)
    linear = normalize.bright_on_dark_linear(normalize.as_floats(image))
    assert np.allclose(other, linear, atol=1e-3)  # what the network is scored on is what it learned
    target, weights = _nuclei._target(data["image01"].nuclei, settings)
    assert set(np.unique(target)) == {0, 1, 2} and (weights == 1).all()


def test_the_control_leaves_out_as_many_images_of_all_kinds(data):
    parts = _nuclei.split(data)
    options = {"kind": "stained", "left_out": "kind"}
    one = dsb2018_unseen.without(data, parts, options, seed=0)
    other = dsb2018_unseen.without(data, parts, options | {"left_out": "random"}, seed=0)
    assert one["test"] == other["test"] and len(one["train"]) == len(other["train"])
    assert any(data[id_].kind == "stained" for id_ in other["train"])
    assert not any(data[id_].kind == "stained" for id_ in one["train"] + one["validation"])


def test_kinds_that_are_left_out_are_those_that_there_are(data):
    light = 1 - np.full((64, 64, 3), 0.1)
    light[:8, :8] = 0.2
    shown = [np.full((*size, 3), 0.1) for size in _nuclei.USUAL_SIZES] + [
        light,
        light * [0.95, 0.8, 0.9],
        light * 0 + 0.1,
    ]
    assert {_nuclei.kind(image) for image in shown} == set(dsb2018_unseen.KINDS)
    with pytest.raises(ValueError, match="no test image of kind"):
        dsb2018_unseen.without(data, {"test": []}, {"kind": "stained", "left_out": "kind"}, 0)


def test_images_of_a_rare_size_are_one_field(folder, monkeypatch):
    monkeypatch.setattr(_nuclei, "FEW", 15)
    fields = [(picture.kind, picture.field) for picture in _nuclei.load(folder).values()]
    for kind, count in (("gray on light", 1), ("stained", 1), ("fluorescence, other sizes", 20)):
        assert len({field for of_kind, field in fields if of_kind == kind}) == count
