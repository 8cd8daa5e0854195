"""The studies of nuclei: kinds, fields and split of the images, training tiles, scores, and whole quick runs."""

import csv
import dataclasses
import functools
import types

import cv2
import numpy as np
import pytest

from studies import training as arms_of
from studies.catalog import CHOICES, DSB2018, KINDS, UNSEEN
from studies.settings import Read
from studies.tasks import nuclei, nuclei_scores
from unetbook import instances, labels, nets, normalize, precision, scores, store
from unetbook.datasets import dsb2018, synthetic


def settings(arm="unet", study=DSB2018, quick=True, **changes):
    """Those of an arm, some of them changed."""
    return Read(study.values(arm, quick) | changes)


def drawn(count, seed, size=64):
    """Gray pictures (N, H, W) in [0, 1] and their nuclei."""
    images, objects = synthetic.nuclei(count, size, seed=seed)
    return np.clip(images[..., 0], 0, 1), objects


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small data set in the challenge's layout: 20 fluorescent, 10 stained and 10 bright-field images."""
    root = tmp_path_factory.mktemp("data")
    gray, drawn_nuclei = drawn(40, seed=5)
    gray = np.where(np.median(gray, axis=(1, 2), keepdims=True) > 0.5, 1 - gray, gray)
    for number, (image, objects) in enumerate(zip(gray, drawn_nuclei, strict=True)):
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
    return nuclei.load(None, 0, folder)


def test_kinds_are_told_by_color_ground_and_size(data):
    kinds = [picture.kind for picture in data.values()]
    assert kinds == ["fluorescence, other sizes"] * 20 + ["gray on light"] * 10 + ["stained"] * 10


def test_pictures_look_alike_and_keep_their_nuclei(data):
    for picture, objects in zip(data.values(), drawn(40, seed=5)[1], strict=True):
        look = nuclei_scores.look(picture.image, DSB2018.settings["normalize"])
        assert look.dtype == np.float16 and look.shape == picture.image.shape == (64, 64, 3)
        assert picture.image.dtype == np.uint8  # as in the file
        assert len(np.unique(picture.nuclei)) == len(np.unique(objects))
        assert np.array_equal(picture.nuclei > 0, objects > 0)
        gray = look.mean(axis=2, dtype=np.float32)
        assert np.median(gray) < 0.5


def test_split_keeps_fields_whole_and_kinds_in_proportion(data):
    moved = {id_: p._replace(field=n // 2 if n < 20 else n) for n, (id_, p) in enumerate(data.items())}
    parts = nuclei.split(moved)
    mixed = moved | {"image35": moved["image35"]._replace(field=moved["image00"].field)}
    with pytest.raises(ValueError, match="it cannot stay whole"):
        nuclei.split(mixed)
    assert sorted(id_ for part in parts.values() for id_ in part) == sorted(data)
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not {moved[id_].field for id_ in parts[one]} & {moved[id_].field for id_ in parts[other]}
    for kind in {picture.kind for picture in data.values()}:
        counts = [sum(moved[id_].kind == kind for id_ in part) for part in parts.values()]
        assert counts[0] >= 0.6 * sum(counts) and min(counts) > 0
    assert nuclei.split(moved) == parts


def test_rare_kinds_are_drawn_more_often_and_targets_have_gaps(data):
    parts = {"train": list(data)[:28] + list(data)[30:32]}  # 20, 8 and 2
    tiles = nuclei.batches(data, parts, settings(), seed=0)
    assert len(tiles.images) == 20 + 2 * 8 + 3 * 2
    assert len(nuclei.batches(data, parts, settings("gaps"), seed=0).images) == len(tiles.images)
    for target, weights, id_ in zip(tiles.labels[:20], tiles.weights[:20], parts["train"][:20], strict=True):
        apart = labels.separate(data[id_].nuclei.astype(np.int32))
        assert np.array_equal(target > 0, apart > 0) and weights.min() >= 1
    images, target, weights = tiles[0]
    assert images.shape == (1, 64, 64, 3) and target.shape == weights.shape == (1, 64, 64)
    assert images.dtype == np.float32 and set(np.unique(target)) <= {0, 1}


def test_gaps_made_after_the_turn_part_all_nuclei_and_turned_gaps_do_not(data, monkeypatch):
    of = {"batch": 8, "steps": 4}
    with_cells, target_of, joined = [], nuclei.target, {}
    monkeypatch.setattr(nuclei, "target", lambda cells, of: with_cells.append(cells) or target_of(cells, of))
    tiles = nuclei.batches(data, {"train": list(data)}, settings("gaps", **of), seed=0)
    assert not with_cells  # nothing is made before the turn
    for index in range(len(tiles)):
        images, target, weights = tiles[index]
        assert images.shape == (8, 64, 64, 3) and target.shape == weights.shape == (8, 64, 64)
        assert target.dtype == np.int8 and weights.dtype == np.float16 and weights.min() >= 1
        cells_of = np.stack(with_cells[-8:])
        joined[index] = sum(_joined(one, cells) for one, cells in zip(target, cells_of, strict=True))
    assert len(with_cells) == 32 and max(len(np.unique(cells)) for cells in with_cells) > 3
    assert sum(joined.values()) == 0
    turned = nuclei.batches(data, {"train": list(data)}, settings("unet", **of), seed=0)
    # In place of the weights travel the nuclei: the same draws take them through the same turns.
    turned.weights = tiles.labels
    assert sum(
        _joined(one, cells) for index in range(len(turned)) for one, cells in zip(*turned[index][1:], strict=True)
    )


def _joined(target, objects):
    """Components of a target that hold pixels of two nuclei."""
    inside = labels.connected(target == 1)
    return sum(len(np.unique(objects[inside == number])) > 1 for number in range(1, inside.max() + 1))


def test_a_perfect_answer_scores_one_and_merged_nuclei_cost(data):
    chosen = list(data)[:6]
    perfect = nuclei_scores.scored({id_: data[id_].nuclei for id_ in chosen}, data)
    best = {"dsb": 1, "f": 1, "iou": 1, "merged": 0, "split": 0, "missed": 0, "extra": 0}
    assert perfect["scores"] == best
    assert perfect["tables"]["kinds"] == [{"kind": "fluorescence, other sizes", "images": 6, **best}]
    merged = {id_: labels.connected(data[id_].nuclei > 0) for id_ in chosen}
    found = nuclei_scores.scored(merged, data)
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
    assert sum(row["merged"] for row in found["tables"]["images"]) == errors[0]


def test_ceilings_take_the_truth_the_way_of_a_prediction(data):
    split = {"validation": list(data)[6:12], "test": list(data)[:6]}
    baselines = nuclei_scores.baselines(data, split, settings())
    ceiling = {name: one["scores"]["dsb"] for name, one in baselines.items()}
    mask, cut = ceiling["truth, as a mask, components"], ceiling["truth, contacts cut, regrown"]
    assert ceiling["constant"] == 0 < ceiling["otsu"] < mask < cut <= 1
    assert 0 < ceiling["otsu, objects as chosen"] < cut
    assert mask < ceiling["truth, contacts cut, watershed"] < cut
    assert set(baselines["otsu, objects as chosen"]["choices"]) >= {"way", "threshold", "smallest"}
    assert mask == pytest.approx(
        nuclei_scores.scored({id_: labels.connected(data[id_].nuclei > 0) for id_ in split["test"]}, data)["scores"][
            "dsb"
        ]
    )
    assert ceiling["truth, a pixel smaller"] < 0.8
    large = np.roll(np.kron(data["image00"].nuclei, np.ones((9, 9), np.int32)), 4, axis=(0, 1))
    detour = nuclei_scores._through_256(large)
    assert detour.shape == (576, 576)
    assert 0.9 < scores.iou(detour > 0, large > 0) < 1
    turned = nuclei_scores._through_256(large[::-1, ::-1])  # nothing is shifted
    assert np.mean((turned > 0)[::-1, ::-1] == (detour > 0)) > 0.995


def test_choices_come_from_the_best_score(data):
    truths = {id_: data[id_].nuclei for id_ in list(data)[:4]}
    apart = {id_: labels.separate(t.astype(np.int32)) > 0 for id_, t in truths.items()}
    gray = {id_: np.where(inside, 0.55, 0.0).astype(np.float32) for id_, inside in apart.items()}
    for probability in gray.values():
        probability[:3, :3] = 0.55  # a speck of 9 pixels
    chosen = nuclei_scores.choose(gray, data)
    assert chosen["way"] == "regrow" and chosen["threshold"] <= 0.5 and chosen["smallest"] >= 10
    assert nuclei_scores.choose(gray, data, smallest=(0, 5))["smallest"] == 0  # nothing else was offered that helps


def test_depth_is_chosen_that_parts_two_nuclei_and_leaves_a_waist_whole(monkeypatch):
    rows, columns = np.mgrid[:60, :140]

    def disc(column, radius):
        return (rows - 30) ** 2 + (columns - column) ** 2 <= radius**2

    waist = disc(20, 10) | disc(31, 10)
    truth = np.where(waist, 1, np.where(disc(80, 13), 2, np.where(disc(104, 13), 3, 0)))
    probability = np.where(truth > 0, 0.9, 0.1).astype(np.float32)
    pictures = dict.fromkeys(("one", "other"), types.SimpleNamespace(nuclei=truth, image=probability, kind="drawn"))
    chosen = nuclei_scores.choose({"one": probability}, pictures)
    assert chosen["way"] == "watershed" and chosen["depth"] > 1
    assert scores.objects(truth, instances.from_probabilities(probability, **chosen)).f == 1
    reader = types.SimpleNamespace(maps=lambda image, once=False: image, labels=nuclei_scores._read)
    monkeypatch.setattr(nuclei_scores, "segmenter", lambda *of: reader)
    of, model = {"validation": ["one"], "test": ["other"]}, types.SimpleNamespace(output=None)
    entry = nuclei_scores.evaluate(model, pictures, of, settings())
    assert entry["choices"] == entry["once"]["choices"] == chosen and entry["scores"]["f"] == 1
    by_reading = {row.get("reading", ""): row for row in entry["tables"]["kinds"]}
    assert list(by_reading) == ["", "once", "depth_1"] and by_reading["once"]["f"] == 1
    assert entry["depth_1"]["choices"]["depth"] == 1
    assert by_reading["depth_1"]["kind"] == "drawn" and by_reading["depth_1"]["f"] < 1


@pytest.fixture
def small(monkeypatch):
    """Little to validate on, to choose from and to time."""
    for name, value in {"CROP": 64, "THRESHOLDS": (0.3, 0.5), "TIMED": 32}.items():
        monkeypatch.setattr(nuclei_scores, name, value)


@pytest.fixture
def built(monkeypatch):
    """The channels of the first level of each U-Net and U-Net++ that is built in a test, by whoever builds it."""
    filters = []

    def noted(make):
        @functools.wraps(make)
        def network(*of, **options):
            filters.append(options["filters"])
            return make(*of, **options)

        return network

    for name in ("unet", "unetpp"):
        monkeypatch.setitem(arms_of.NETWORKS, name, noted(getattr(nets, name)))
        monkeypatch.setattr(nets, name, noted(getattr(nets, name)))
    return filters


def test_a_quick_run_of_all_arms(folder, tmp_path, quick_run, small, built, capsys, eager_training):
    found = quick_run(dataclasses.replace(DSB2018, quick=DSB2018.quick | {"steps": 1}), folder, "--seeds", "0")
    assert "unet, dsb at least 0.55: NOT met (a quick run: means nothing)" in capsys.readouterr().out
    assert set(built) == {2}  # nothing of full size, to be timed for instance
    assert set(found.entries()) == {("unet", 0), ("unetpp", 0), ("gaps", 0)}
    for arm in found.arms:
        entry = found.entries(arm)[0]
        assert set(entry["scores"]) >= {"dsb", "f", "iou"}
        assert {row["image"] for row in found.rows(arm, 0)} == set(found.split["test"])
        assert entry["scores"]["dsb"] == pytest.approx(np.mean([row["dsb"] for row in found.rows(arm, 0)]), abs=2e-5)
        for of in (entry, entry["once"], entry["depth_1"]):
            assert set(of["choices"]) >= {"way", "threshold", "smallest"}
        for reading in ("", "once", "depth_1"):
            kinds = found.kinds(arm, 0, reading)
            assert sum(of["images"] for of in kinds.values()) == len(found.split["test"]) and len(kinds) == 3
        assert len(found.curves(arm, 0)["val_dsb"]) == 2
    assert set(found.baselines) >= {"constant", "otsu"}
    baseline = {name: one["scores"]["dsb"] for name, one in found.baselines.items()}
    assert baseline["otsu, objects as chosen"] > baseline["constant"]
    with (tmp_path / "runs/quick/dsb2018.csv").open(newline="") as file:
        rows = [(row["arm"], row["seed"], row["image"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == len(found.split["test"]) * (3 + len(found.baselines))
    assert {seed for arm, seed, _ in rows if arm in found.baselines} == {""}
    assert {seed for arm, seed, _ in rows if arm in found.arms} == {"0"}
    weights = tmp_path / "runs/quick/weights"
    assert {path.name for path in weights.iterdir()} == {"dsb2018-unet.keras", "dsb2018-unetpp.keras"}
    for arm in ("unet", "unetpp"):
        model = store.load(weights / f"dsb2018-{arm}.keras")
        assert model.metadata["normalize"] == "bright_on_dark" and model.metadata["arm"] == arm
        assert model.metadata["choices"] == found.entries(arm)[0]["choices"]
    assert "kept" not in found.arm("gaps") and found.arm("gaps")["changes"] == {"made": "after each turn"}
    heads = found.entries("unetpp")[0]["heads"]
    assert list(heads) == ["L1", "L2", "mean"] and "heads" not in found.entries("unet")[0]
    work = [head["multiply_adds"] for head in heads.values()]
    assert work[0] < work[1] < work[2] and all(head["seconds"] > 0 for head in heads.values())
    assert found.entries("unet")[0]["multiply_adds"] > 0


def test_heads_answer_as_their_pruned_networks(data):
    of = settings("unetpp")
    model = nuclei.build(data, of)
    image = next(iter(data.values())).image
    answers = nuclei_scores.answers_of(model, image, of)
    pruned = {name: nets.prune(model, int(name[1:])) for name in ("L1", "L2")} | {"mean": model}
    assert set(answers) == set(pruned)
    for name, network in pruned.items():
        alone = nuclei_scores.segmenter(network, of).maps(image, once=True)
        np.testing.assert_allclose(answers[name], alone, atol=1e-6)
    assert np.abs(answers["L1"] - answers["L2"]).max() > 1e-3
    apart = nuclei_scores.segmenter(model, of, "nuclei_of_heads", heads="apart")
    together = nuclei_scores.segmenter(model, of)
    assert np.array_equal(apart(image, once=True), together(image, once=True))


def test_heads_that_learned_in_bfloat16_are_judged_in_float32(data):
    of = settings("unetpp")
    with precision.policy("mixed_bfloat16"):
        model = nuclei.build(data, of)
    plain = precision.in_float32(lambda: nuclei.build(data, of), model)
    assert plain is not model and {layer.compute_dtype for layer in plain.layers} == {"float32"}
    image = next(iter(data.values())).image
    one, other = (nuclei_scores.answers_of(network, image, of) for network in (model, plain))
    for head, maps in other.items():
        assert maps.dtype == np.float32 and 0 < np.abs(maps - one[head]).max() < 0.02


def test_a_kind_that_was_left_out_is_scored_and_not_trained_on(
    data, folder, monkeypatch, quick_run, small, eager_training
):
    trained, batches = [], nuclei.batches
    monkeypatch.setattr(
        nuclei, "batches", lambda d, parts, *of: trained.append(parts["train"]) or batches(d, parts, *of)
    )
    found = quick_run(UNSEEN, folder, "--seeds", "0")
    assert [arm for arm in found.arms if found.entries(arm)] == ["all kinds", "without stained"]
    entry, kinds = found.entries("without stained")[0], {id_: picture.kind for id_, picture in data.items()}
    rows = found.rows("without stained", 0)
    assert {kinds[row["image"]] for row in rows} == set(found.kinds("without stained", 0)) == {"stained"}
    assert {kinds[id_] for id_ in trained[1]} == {"fluorescence, other sizes", "gray on light"}
    assert len(found.summary["data"][0]["sha256"]) == 64 and entry["counts"]["train"] == len(trained[1])
    whole = found.kinds("all kinds", 0)
    assert set(whole) == {kinds[id_] for id_ in trained[0]} == set(kinds.values())
    assert whole["stained"]["images"] == len(rows) == entry["counts"]["test"]
    assert "once" not in entry and "depth_1" not in entry  # one position alone


def test_settings_were_chosen_on_validation_images(data, folder, monkeypatch, quick_run, small, eager_training):
    seen, batches = [], nuclei.batches
    monkeypatch.setattr(nuclei, "batches", lambda d, *of: seen.append((d, *of)) or batches(d, *of))
    found = quick_run(CHOICES, folder, "--seeds", "0")
    entries = {arm: found.entries(arm)[0] for arm in found.arms if found.entries(arm)}
    assert {name: entry["choices"]["way"] == "border" for name, entry in entries.items()} == {
        "as chosen": False,
        "no square root": False,
        "border class": True,
    }
    validation = nuclei.split(data)["validation"]
    for arm, entry in entries.items():
        assert sum(kind["images"] for kind in found.kinds(arm, 0).values()) == len(validation)
        assert {row["image"] for row in found.rows(arm, 0)} == set(validation)
        assert set(entry["seen"]) == set(entry["scores"]) and entry["seen"] != entry["scores"]
    assert set(found.differences) == {"no square root - as chosen", "border class - as chosen"}
    (_, parts, as_chosen, _), (_, _, squared, _), (_, _, border, _) = seen
    assert set(parts["seen"]) < set(parts["train"]) and len(parts["seen"]) == len(validation)
    one, other = (batches(data, {"train": ["image01"]}, of, 0).images[0] for of in (as_chosen, squared))
    image = data["image01"].image
    assert np.array_equal(one, nuclei_scores.look(image, "bright_on_dark"))
    assert np.allclose(other, one.astype(float) ** 2, atol=1e-3)
    linear = normalize.bright_on_dark_linear(normalize.as_floats(image))
    assert np.allclose(other, linear, atol=1e-3)
    assert nuclei.passport(squared)["normalize"] == "bright_on_dark_linear"  # scored on what it learned
    target, weights = nuclei.target(data["image01"].nuclei, border)
    assert set(np.unique(target)) == {0, 1, 2} and (weights == 1).all()


def test_the_control_leaves_out_as_many_images_of_all_kinds(data):
    split, of = nuclei.split(data), settings("without stained", UNSEEN)
    at_random = settings("without stained", UNSEEN, left_out="as many at random")
    one, other = (nuclei.parts(data, split, setting, 0) for setting in (of, at_random))
    assert one["test"] == other["test"] and len(one["train"]) == len(other["train"])
    assert len(one["validation"]) == len(other["validation"])
    assert any(data[id_].kind == "stained" for id_ in other["train"])
    assert not any(data[id_].kind == "stained" for id_ in one["train"] + one["validation"])
    assert nuclei.parts(data, split, at_random, 0) == other != nuclei.parts(data, split, at_random, 1)
    assert nuclei.parts(data, split, settings(), 0) == split


def test_kinds_that_are_left_out_are_those_that_there_are(data):
    assert KINDS == dsb2018.KINDS
    with pytest.raises(ValueError, match="no test image of kind 'stained'"):
        nuclei.parts(data, {"test": []}, settings("without stained", UNSEEN), 0)


def test_images_of_a_rare_size_are_one_field(folder, monkeypatch):
    monkeypatch.setattr(nuclei, "FEW", 15)
    fields = [(picture.kind, picture.field) for picture in nuclei.load(None, 0, folder).values()]
    for kind, count in (("gray on light", 1), ("stained", 1), ("fluorescence, other sizes", 20)):
        assert len({field for of_kind, field in fields if of_kind == kind}) == count
