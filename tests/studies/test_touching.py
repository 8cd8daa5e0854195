"""The study of touching cells: films, targets, scores at the pictures' own size, and a whole quick run."""

import csv
import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile

from studies.catalog import USIIGACI
from studies.settings import Read
from studies.tasks import touching, touching_scores
from unetbook import instances, labels, nets, resizing, scores, store
from unetbook.augment import Augmenter
from unetbook.datasets import synthetic, usiigaci
from unetbook.segmenter import Segmenter

SIDE = 96


def settings(arm="weights", **changes):
    """Those of an arm, for small pictures."""
    return Read(USIIGACI.values(arm) | {"side": SIDE} | changes)


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
        patch.setattr(usiigaci, "LARGE", 10_000)  # ten pictures are too few for a split of two kinds
        return touching.load(settings(), 0, folder)


def test_pictures_are_squeezed_and_keep_their_cells(data):
    picture = data["train/set1"]
    assert touching_scores.look(picture.image, SIDE).shape == (SIDE, SIDE, 1)
    assert picture.image.shape == (2 * SIDE, 2 * SIDE, 1) and picture.image.dtype == np.uint16  # as in the file
    assert picture.cells.shape == (SIDE, SIDE)
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
    monkeypatch.setattr(usiigaci, "load", lambda root: [sample])
    squeezed = resizing.stretched_labels(cells, SIDE, SIDE)
    assert labels.relabel(squeezed).max() == 2  # one of the tails is lost, and its end hangs on nothing
    found = touching.load(settings(), 0)["a"].cells
    assert found.max() == 1 and 0 < np.count_nonzero(squeezed) - np.count_nonzero(found) < touching.CRUMB


def test_a_gap_between_cells_stays_closed_when_they_are_turned_and_deformed(data):
    """The target is made of cells that were turned: a gap that was turned itself would have holes."""
    plain = {name: 0 for name in ("blur", "gamma", "gain", "offset", "noise")}
    seen = 0
    for arm in ("weights", "border"):
        of = settings(arm, tile=64, batch=8, steps=2, augmentation=plain | {"elastic": 2})
        tiles = touching.batches(data, {"train": list(data)}, of, seed=3)
        for index in range(2):
            rng = np.random.default_rng((3, 0, index))
            images, classes, weights = tiles[index]
            for image, target, weight in zip(images, classes, weights, strict=True):
                # the same draws once more, for the cells that the target was made of
                which = rng.integers(len(tiles.images))
                top, left = rng.integers(SIDE - 64 + 1), rng.integers(SIDE - 64 + 1)
                cut = (slice(top, top + 64), slice(left, left + 64))
                turned, cells = Augmenter(**of.augmentation)(tiles.images[which][cut], tiles.labels[which][cut], rng)
                assert np.array_equal(turned, image)
                inside = labels.connected(target == 1)
                for number in range(1, inside.max() + 1):
                    assert len(np.unique(cells[inside == number])) == 1
                seen += len(np.unique(cells)) > 2
                assert weight.shape == target.shape and (weight.max() > 1) <= (arm == "weights")
    assert seen > 20


def test_frames_of_one_film_stay_together(data):
    parts = touching.split(data)
    assert sorted(id_ for part in parts.values() for id_ in part) == sorted(data)
    assert [len(part) for part in parts.values()] == [6, 2, 2] and parts == touching.split(data)
    assert {picture.kind for picture in data.values()} == {"small cells"}
    assert usiigaci.kind(np.kron(data["train/set1"].truth, np.ones((5, 5), np.int32))) == "large cells"
    for id_ in list(data)[1:]:
        moved = touching.split(dict(data) | {id_: data["train/set1"]})
        assert any({id_, "train/set1"} <= set(part) for part in moved.values())


@pytest.mark.parametrize("arm", USIIGACI.arms)
def test_targets_differ_and_nothing_else(arm, data):
    cells = max((picture.cells for picture in data.values()), key=lambda cells: (labels.separate(cells) != cells).sum())
    of = settings(arm)
    classes, weights = touching.target(cells, of)
    assert set(np.unique(classes)) == set(range(touching.CLASSES[of.target]))
    assert touching.build(data, settings(arm, filters=1, depth=1)).output_shape[-1] == touching.CLASSES[of.target]
    if of.target == "border":
        assert np.array_equal(classes > 0, cells > 0)
        assert set(weights[classes == 2]) == {of.border_weight} and (weights[classes < 2] == 1).all()
    else:
        assert np.array_equal(classes > 0, labels.separate(cells) > 0)
    assert (weights.max() > 3) == (arm in ("weights", "border-weights")) and weights.min() == 1
    assert USIIGACI.seeds_for(arm) == USIIGACI.seeds[: len(USIIGACI.seeds_for(arm))]
    first = USIIGACI.values("weights")
    same = set(first) - {"target", "w0"}
    assert all(USIIGACI.values(arm)[name] == first[name] for name in same)


def test_scores_are_those_of_the_pictures_own_size(data):
    perfect = touching_scores.scored({id_: picture.cells for id_, picture in data.items()}, data)
    assert perfect["scores"]["f"] == 1 and perfect["scores"]["merged"] == perfect["scores"]["split"] == 0
    merged = touching_scores.scored({id_: labels.connected(p.cells > 0) for id_, p in data.items()}, data)
    truths = [picture.truth for picture in data.values()]
    found = [resizing.stretched_labels(labels.connected(p.cells > 0), 2 * SIDE, 2 * SIDE) for p in data.values()]
    count = sum(len(np.unique(truth)) - 1 for truth in truths)
    expected = sum(scores.object_errors(t, f).merged for t, f in zip(truths, found, strict=True))
    assert sum(row["cells"] for row in merged["tables"]["images"]) == count
    assert merged["scores"]["merged"] == pytest.approx(100 * expected / count) and expected > 10
    assert merged["scores"]["dsb"] == pytest.approx(scores.dsb_score(truths, found))
    by_hand = sum(scores.seg(t, f) * (len(np.unique(t)) - 1) for t, f in zip(truths, found, strict=True)) / count
    assert merged["scores"]["seg"] == pytest.approx(by_hand) and by_hand < perfect["scores"]["seg"]
    touching = sum(row["touching"] for row in merged["tables"]["images"])
    assert expected <= touching < count  # a perfect mask merges what touches, by a corner or by an edge


def network(classes=2):
    """What it says is replaced."""
    return nets.unet((None, None, 1), classes, filters=1, depth=1, padding="same")


def rows_of(entry, reading=""):
    """The rows of one reading of an entry."""
    return [row for row in entry["tables"]["images"] if row.get("reading", "") == reading]


def answers(data, inside, outside):
    """A network that says these probabilities inside and outside of the cells that have gaps, and of a crumb."""

    def answer(reader, image):
        cells = next(picture.cells for picture in data.values() if picture.image is image)
        found = np.where(labels.separate(cells) > 0, inside, outside)
        found[:4, :4] = inside  # 16 pixels
        return np.stack([1 - found, found], axis=-1)

    return answer


@pytest.mark.parametrize("inside, outside", [(0.65, 0.35), (0.97, 0.93), (0.15, 0.05)])
def test_choices_come_from_the_validation_pictures(data, monkeypatch, inside, outside):
    """Border weights make a network shy of cells, and without them it is not: the best threshold may be anywhere."""
    split = {"train": list(data)[5:], "validation": list(data)[:3], "test": list(data)[3:5]}
    monkeypatch.setattr(Segmenter, "maps", answers(data, inside, outside))
    found = touching_scores.evaluate(network(), data, split, settings())
    choices = found["choices"]
    assert outside < choices["threshold"] <= inside and choices["grow"] == 1 and choices["way"] == "regrow"
    assert max(choices["smallest"], choices["smallest_seed"]) > 16  # by either, the crumb is no cell
    assert [row["image"] for row in rows_of(found)] == split["test"] and found["scores"]["f"] > 0.95
    assert len(found["tables"]["swept"]) == 91  # pairs of thirteen values, core at least the threshold
    assert {row["part"] for row in found["tables"]["swept"]} == {"test"}
    for row in found["tables"]["swept"]:
        sees_cells = row["core"] <= inside  # and joins them where the gap reaches the threshold, too
        assert (row["f"] > 0.95) == (sees_cells and outside < row["threshold"])
        assert row["missed"] == (0 if sees_cells else 100)
    assert (found["plain"]["scores"]["f"] > 0.95) == (inside == 0.65)  # read at 0.5
    assert [row["image"] for row in rows_of(found, "plain")] == split["test"]
    judged = touching_scores.validate(network(), data, split, settings())
    assert (judged["val_f"] > 0.95) == (judged["train_f"] > 0.95) == (inside == 0.65)  # by a few thresholds
    assert judged["val_split"] == 0 and (judged["val_merged"] > 0) == (inside == 0.97)


def test_of_choices_that_do_equally_well_the_one_next_to_a_half_is_taken(data, monkeypatch):
    """A network that is sure of all it says is read alike at any threshold."""
    split = {"train": list(data)[5:], "validation": list(data)[:3], "test": list(data)[3:5]}
    monkeypatch.setattr(Segmenter, "maps", answers(data, 1.0, 0.0))
    choices = touching_scores.evaluate(network(), data, split, settings())["choices"]
    assert (choices["threshold"], choices["core"]) == (0.5, 0.5)


def test_sure_seeds_part_cells_that_one_threshold_merges_or_loses(data, monkeypatch):
    """0.9 within, 0.6 in a rim and in the gap, 0.4 around: at 0.5 the gap is bridged, and at 0.7 the rim is lost."""
    split = {"train": list(data)[5:], "validation": list(data)[:3], "test": list(data)[3:5]}

    def answer(reader, image):
        cells = next(picture.cells for picture in data.values() if picture.image is image)
        found = np.where(instances.border_target(cells) == 1, 0.9, np.where(cells > 0, 0.6, 0.2)).astype(np.float32)
        return np.stack([1 - found, found], axis=-1)

    monkeypatch.setattr(Segmenter, "maps", answer)
    found = touching_scores.evaluate(network(), data, split, settings())
    assert found["choices"]["threshold"] <= 0.6 < found["choices"]["core"] <= 0.9
    assert found["scores"]["f"] > 0.9 > found["plain"]["scores"]["f"]


def test_the_core_of_a_border_class_is_chosen_too(data, monkeypatch):
    """Interior of 0.6 where cells meet and 0.9 within: only a core above 0.6 parts them."""
    split = {"train": list(data)[5:], "validation": list(data)[:3], "test": list(data)[3:5]}

    def answer(reader, image):
        cells = next(picture.cells for picture in data.values() if picture.image is image)
        within = instances.border_target(cells) == 1
        interior = np.where(within, 0.9, np.where(cells > 0, 0.6, 0.02))
        background = np.where(cells > 0, 0.05, 0.95)
        return np.stack([background, interior, 1 - background - interior], axis=-1)

    monkeypatch.setattr(Segmenter, "maps", answer)
    found = touching_scores.evaluate(network(3), data, split, settings("border"))
    assert 0.6 < found["choices"]["core"] <= 0.9 and found["choices"]["way"] == "border"
    swept = found["tables"]["swept"]
    assert len(swept) == 169
    assert all(row["merged"] > 0 for row in swept if row["core"] == 0.5 and row["threshold"] < 0.95)
    assert found["scores"]["merged"] == 0
    assert found["scores"]["f"] > 0.9


def test_a_quick_run_of_all_arms(folder, tmp_path, monkeypatch, quick_run, eager_training):
    monkeypatch.setattr(usiigaci, "LARGE", 10_000)
    monkeypatch.setattr(touching_scores, "THRESHOLDS", (0.3, 0.5, 0.9))
    study = dataclasses.replace(
        USIIGACI, settings=USIIGACI.settings | {"side": SIDE}, quick=USIIGACI.quick | {"steps": 1}
    )
    found = quick_run(study, folder, "--seeds", "0")
    assert set(found.entries()) == {(arm, 0) for arm in USIIGACI.arms}
    for (arm, _), entry in found.entries().items():
        assert set(entry["scores"]) == {"f", "dsb", "iou", "seg", "merged", "split", "missed", "extra"}
        for reading in ("", "plain"):
            assert {row["image"] for row in found.rows(arm, 0, reading)} == set(found.split["test"])
        assert len(found.curves(arm, 0)["train_f"]) == 2
        assert "target_met" not in found.arm(arm)  # none was set
        assert entry["choices"]["way"] == ("border" if "border" in arm else "regrow")
        assert len(found.swept(arm, 0)) == (9 if "border" in arm else 6)  # pairs, core at least the threshold of a gap
    assert set(found.differences) == {f"{one} - {other}" for one, other in USIIGACI.pairs}
    f = {name: one["scores"]["f"] for name, one in found.baselines.items()}
    assert (
        f["nothing found"] == 0 < f["otsu and watershed"] < f["truth as a mask, watershed"] <= f["truth at half size"]
    )
    assert f["truth as a mask, components"] < f["truth with gaps, regrown"] <= f["truth at half size"]
    assert 0.9 < f["truth with a border class"] <= f["truth at half size"]
    with (tmp_path / "runs/quick/usiigaci.csv").open(newline="") as file:
        rows = [(row["arm"], row["seed"], row["reading"], row["image"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == len(found.split["test"]) * (2 * len(USIIGACI.arms) + len(f))
    of_arms = {(arm, "0", reading) for arm in USIIGACI.arms for reading in ("", "plain")}
    assert {row[:3] for row in rows} == of_arms | {(name, "", "") for name in f}
    id_ = found.split["test"][0]
    (sample,) = usiigaci.load(folder, ids=[id_])
    for arm in USIIGACI.arms:
        kept = Segmenter(store.load(tmp_path / f"runs/quick/weights/usiigaci-{arm}.keras"))
        assert kept.passport["side"] == SIDE and kept.passport["arm"] == arm
        (row,) = (row for row in found.rows(arm, 0) if row["image"] == id_)
        assert scores.object_errors(sample.labels, kept(sample.image)).merged == row["merged"]
