"""EM membranes: contiguous parts, thresholds chosen on validation slices, baselines, and whole quick runs."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from studies import catalog, harness, records
from studies.settings import Read
from studies.tasks import membranes
from unetbook import nets, results, scores, store
from unetbook.datasets import isbi2012
from unetbook.segmenter import Segmenter

SMALL = {"depth": 1, "filters": 4, "tile": 44, "steps": 2, "epochs": 1, "batch": 1, "warmup": 1}
STUDY = dataclasses.replace(catalog.ISBI2012, quick=SMALL)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """30 slices of 48 x 48: dark rings on gray, labels 0 on the rings."""
    rng = np.random.default_rng(0)
    labels = np.full((30, 48, 48), 255, np.uint8)
    for image in labels:
        for y, x in rng.integers(4, 44, (3, 2)):
            image[disk((y, x), 7, shape=image.shape)] = 0
            image[disk((y, x), 5, shape=image.shape)] = 255
    volume = np.clip(labels * 0.4 + 80 + rng.normal(0, 12, labels.shape), 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("data") / "isbi2012"
    folder.mkdir()
    tifffile.imwrite(folder / "train-volume.tif", volume, photometric="minisblack")
    tifffile.imwrite(folder / "train-labels.tif", labels, photometric="minisblack")
    return folder.parent


def settings(arm="paper", **changes):
    return Read(STUDY.values(arm, quick=True) | changes)


@pytest.fixture
def found(pictures, tmp_path, monkeypatch, eager_training):
    """A quick run of all arms, as ``results`` reads it."""
    monkeypatch.setenv("UNETBOOK_DATA", str(pictures))
    monkeypatch.setenv("UNETBOOK_RUNS", str(tmp_path))
    harness.run(STUDY, quick=True)
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "quick")
    return results.study("isbi2012")


def test_a_quick_run_of_all_arms(found):
    assert found.split["test"] == [24, 25, 26, 27, 28, 29] and found.summary["split"]["images"]["train"] == 21
    assert [len(file["sha256"]) for file in found.summary["data"]] == [64, 64]
    assert set(found.baselines) == {"constant", "otsu", "smoothed threshold"}
    assert len(found.rows("otsu")) == 6 and len(found.rows("unet", 0)) == 6
    for arm in ("paper", "no-weights", "no-elastic"):
        (entry,) = found.entries(arm).values()
        assert set(entry["scores"]) == set(entry["without_averaging"]["scores"])
        at, known = ({row["threshold"]: row for row in found.swept(arm, 0, part)} for part in ("test", "validation"))
        for name, value in entry["scores"].items():  # each at the threshold that is best for it on validation slices
            best = min(known.values(), key=lambda row, name=name: row[name])["threshold"]
            assert entry["thresholds"][name] == best and at[best][name] == pytest.approx(value, abs=2e-5)
            rows = [row[name] for row in found.rows(arm, 0)]
            assert value == pytest.approx(np.mean(rows), abs=2e-5) and len(rows) == 6
        one = min(known.values(), key=lambda row: row["rand_thin"] + row["pixel_error"])["threshold"]
        assert entry["choices"] == {"threshold": one}
        for name, value in entry["one_threshold"]["scores"].items():
            rows = [row[name] for row in found.rows(arm, 0, "one_threshold")]
            assert at[one][name] == pytest.approx(value, abs=2e-5) == pytest.approx(np.mean(rows), abs=2e-5)
        assert entry["maximal_f"] == membranes.maximal_f(found.swept(arm, 0))
        assert entry["maximal_f"]["rand_2012"] <= entry["scores"]["rand_2012"] + 1e-5  # chosen on what it scores
    (plain,) = found.entries("unet").values()
    assert set(plain["choices"]) == {"threshold"} and "thresholds" not in plain
    assert set(found.differences) == {f"paper - {arm}" for arm in ("unet", "no-weights", "no-elastic")}
    assert "target_met" in found.arm("paper") and "target_met" not in found.arm("unet")
    stored = Path(results.__file__).parents[1] / "results/splits/isbi2012.json"  # taken where the data have its ids
    assert (found.path.parent / "splits/isbi2012.json").read_bytes() == stored.read_bytes()
    weights = found.path.parent / "weights"
    assert {path.name for path in weights.iterdir()} == {"isbi2012-unet.keras", "isbi2012-paper.keras"}
    kept = Segmenter(store.load(weights / "isbi2012-paper.keras"))
    assert kept.passport["averaged"] == "rotations" and kept.passport["arm"] == "paper"
    assert kept.passport["choices"] == {"way": "classes"} | found.entries("paper")[0]["choices"]
    assert set(found.curves("paper", 0)) == {"loss", "val_loss", "val_pixel_error"}


def test_absent_slices_are_reported(tmp_path, pictures, monkeypatch):
    shutil.copytree(pictures, tmp_path / "fewer")
    for path in (tmp_path / "fewer/isbi2012").iterdir():
        tifffile.imwrite(path, tifffile.imread(path)[:28], photometric="minisblack")
    monkeypatch.setenv("UNETBOOK_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match=r"lacks \[28, 29\], which .*splits/isbi2012.json names: get the whole"):
        harness.run(STUDY, [0], quick=True, root=tmp_path / "fewer")


def test_another_split_is_not_mixed(tmp_path, pictures, monkeypatch, eager_training):
    monkeypatch.setenv("UNETBOOK_RUNS", str(tmp_path / "runs"))
    study = dataclasses.replace(STUDY, settings={**STUDY.settings, **SMALL}, keeps=())
    harness.run(study, [0], ["paper"], out=tmp_path, root=pictures)
    path = tmp_path / "splits/isbi2012.json"
    records.write(path, records.read(path) | {"train": list(range(20))})
    with pytest.raises(ValueError, match=r"isbi2012\.json holds a run with other split"):
        harness.run(study, [1], ["paper"], out=tmp_path, root=pictures)


def test_split_is_contiguous_and_disjoint():
    assert [i for part in membranes.split().values() for i in part] == list(range(30))


def test_weights_are_made_where_the_loss_has_them(pictures):
    data, parts = isbi2012.load(pictures), membranes.split()
    made = {arm: membranes.batches(data, parts, settings(arm), seed=0) for arm in STUDY.arms}
    weights = {arm: tiles.weights for arm, tiles in made.items()}
    assert weights["no-weights"] is None and weights["unet"] is None
    assert np.array_equal(weights["paper"], weights["no-elastic"])
    membrane = data[1][parts["train"]] == 0
    assert weights["paper"][membrane].mean() > 3 * weights["paper"][~membrane].mean()
    assert [made[arm].augment.elastic for arm in ("paper", "no-weights", "no-elastic")] == [10, 10, 0]


def test_baselines_choose_the_bright_side(pictures):
    data = isbi2012.load(pictures)
    both = [membranes.baselines(of, membranes.split(), None) for of in (data, (1 - data[0], data[1]))]
    for name in ("otsu", "smoothed threshold"):
        assert [one[name]["choices"]["interior_is_bright"] for one in both] == [True, False]
    majority = float(np.mean(data[1][24:30] == 0))
    assert both[0]["constant"]["scores"]["pixel_error"] == pytest.approx(majority)
    assert both[0]["otsu"]["scores"]["pixel_error"] < majority / 2  # easy pictures


def test_the_maximal_f_chooses_on_what_it_scores(pictures):
    _, truth = isbi2012.load(pictures)
    perfect = {number: np.where(truth[number] > 0, 0.35, 0.15).astype(np.float32) for number in (24, 25)}
    swept = membranes.swept_scores(perfect, truth)
    assert set(membranes.maximal_f(swept).values()) == {0}  # between 0.15 and 0.35, and not at 0.5
    at = {row["threshold"]: row for row in swept}
    assert at[0.5]["f_membrane_error"] > 0 and min(at) < 0.02 and max(at) > 0.98
    expected = np.mean([scores.warping_error(truth[n] > 0, one >= 0.5) for n, one in perfect.items()])
    assert at[0.5]["warping_error"] == pytest.approx(expected) and expected > 0


def test_validation_does_not_punish_a_network_for_where_weights_move_it(pictures, monkeypatch):
    data, parts = isbi2012.load(pictures), membranes.split()
    shy = {number: np.where(data[1][number] > 0, 0.35, 0.15).astype(np.float32) for number in parts["validation"]}
    seen = iter(shy.values())
    monkeypatch.setattr(Segmenter, "maps", lambda *of, once: np.dstack([1 - (one := next(seen)), one]))
    model = nets.unet((None, None, 1), 2, filters=1, depth=1)
    found = membranes.validate(model, data, parts, settings())
    inside = np.mean(data[1][parts["validation"]])
    expected = -inside * np.log(0.35) - (1 - inside) * np.log(0.85)
    assert found == {"val_loss": pytest.approx(expected, abs=1e-6), "val_pixel_error": 0.0}
