"""The weights of whole tasks: `predict` with them gives the stored scores again, on images that were held out."""

import functools
import importlib
import json
import os

import cv2
import numpy as np
import pytest

import unetbook
from studies import catalog
from studies.settings import Read
from unetbook import __main__, results, scores
from unetbook.datasets import _archives, dsb2018, isbi2012, isic2017, usiigaci
from unetbook.images import reading as files

IMAGES = 8  # of the test part; all of them take minutes
KEPT = {
    study.stem(arm): (study, arm)
    for study in (catalog.DSB2018, catalog.ISBI2012, catalog.ISIC2017, catalog.USIIGACI)
    for arm in study.keeps
}


def nuclei(ids):
    """The files as the challenge has them, and the truth."""
    members = _archives.Members(*dsb2018.files())
    names = members.by_id(dsb2018.IMAGE)
    return {sample.id: (members.read(names[sample.id]), sample.labels) for sample in dsb2018.load(ids=ids)}


def nuclei_scores(truth, found):
    return {"dsb": scores.dsb_score([truth], [found]), "iou": scores.iou(truth > 0, found > 0)}


def slices(ids):
    images, interior = isbi2012.load()
    files = [cv2.imencode(".png", np.round(255 * images[int(id_)]).astype(np.uint8))[1].tobytes() for id_ in ids]
    return {id_: (file, interior[int(id_)]) for id_, file in zip(ids, files, strict=True)}


def slice_scores(truth, found):
    return {"pixel_error": float(np.mean(truth != found))}


def lesions(ids):
    members = _archives.Members(isic2017.files()[0])
    names = members.by_id(isic2017.IMAGE)
    return {sample.id: (members.read(names[sample.id]), sample.labels) for sample in isic2017.load(ids=ids)}


def lesion_scores(truth, found):
    return {"dice": scores.dice(truth > 0, found > 0), "jaccard": scores.iou(truth > 0, found > 0)}


def cells(ids):
    encoded = {}
    for sample in usiigaci.load(ids=ids):
        sixteen_bits = np.round(65535 * sample.image).astype(np.uint16)
        encoded[sample.id] = cv2.imencode(".png", sixteen_bits)[1].tobytes(), sample.labels
    return encoded


def cell_scores(truth, found):
    return nuclei_scores(truth, found) | {"seg": scores.seg(truth, found)}


FILES = {  # of these images, as ``predict`` takes them, each with its truth; and scores of one
    "dsb2018": (nuclei, nuclei_scores),
    "isbi2012": (slices, slice_scores),
    "isic2017": (lesions, lesion_scores),
    "usiigaci": (cells, cell_scores),
}


def test_all_kept_weights_are_tested():
    kept = {path.stem for path in (results.folder() / "weights").glob("*.keras")}
    assert set(KEPT) == kept - {"encoder-synthetic"} and len(KEPT) == 9


def stored(name):
    """The study, the arm's facts about its kept file, and the entry of the seed that was kept."""
    study, arm = KEPT[name]
    found = results.study(study.name)
    kept = found.arm(arm)["kept"]
    return found, kept, found.entries(arm)[kept["seed"]]


@pytest.mark.parametrize("name", KEPT)
def test_half_precision_costs_next_to_nothing(name):
    _, kept, entry = stored(name)
    for score, value in entry["scores"].items():
        if score not in ("merged", "split", "missed", "extra"):  # counts for 100 objects
            assert kept["scores"][score] == pytest.approx(value, abs=0.005)


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the real images are not at hand: set UNETBOOK_DATA")
@pytest.mark.parametrize("name", KEPT)
def test_predict_gives_the_stored_scores_again(name, tmp_path):
    study, arm = KEPT[name]
    load, scored = FILES[study.name]
    found, kept, entry = stored(name)
    reading = "one_threshold" if "one_threshold" in entry else ""  # where others stand beside it: that of the choices
    rows = {row["image"]: row for row in found.rows(arm, kept["seed"], reading)}
    chosen = sorted(rows)[:: max(1, len(rows) // IMAGES)][:IMAGES]
    try:
        samples = load(chosen)
    except FileNotFoundError:
        pytest.skip(f"the images of {name} are not below UNETBOOK_DATA")
    (tmp_path / "pictures").mkdir()
    for id_, (content, _) in samples.items():
        (tmp_path / "pictures" / f"{_stem(id_)}.png").write_bytes(content)
    weights = results.folder() / "weights" / kept["file"]
    paths = [str(tmp_path / "out"), str(tmp_path / "pictures")]
    assert __main__.main(["predict", "--model", str(weights), "--out", *paths]) == 0
    again = []
    for id_, (_, truth) in samples.items():
        answer = files.mask((tmp_path / "out" / f"{_stem(id_)}_labels.png").read_bytes(), "answer", numbers=True)
        again.append(scored(truth, answer))
    for score in again[0]:
        means = [np.mean([row[score] for row in part]) for part in (again, [rows[id_] for id_ in chosen])]
        assert means[0] == pytest.approx(means[1], abs=0.01), score
        worst = max(abs(row[score] - rows[id_][score]) for row, id_ in zip(again, chosen, strict=True))
        assert worst < 0.1, f"{score}: an image differs by {worst}"


@functools.cache
def pictures(name):
    """The data of a study as its task has them; they are the same for all arms."""
    study = catalog.get(name)
    return task_of(study).load(Read(study.values(next(iter(study.arms)))), 0)


def task_of(study):
    return importlib.import_module(f"studies.tasks.{study.task}")


def labels_of(segmenter, data, ids):
    return {id_: segmenter(data[id_].image) for id_ in ids}


def of_slices(segmenter, task, data, entry, ids):
    """Each score at the threshold that was chosen for it."""
    images, truth = data
    seen = {number: segmenter.maps(images[number])[..., 1] for number in ids}
    names = scores.em_scores(truth[0], (truth[0] > 0).astype(np.float32))
    thresholds = entry.get("thresholds", dict.fromkeys(names, segmenter.choices.threshold))
    found = {t: task.scored(seen.get, truth, ids, t)["scores"] for t in set(thresholds.values())}
    return {name: found[threshold][name] for name, threshold in thresholds.items()}


def of_lesions(segmenter, task, data, entry, ids):
    """The stored run saw pictures in half precision. A wrong piece of one picture hangs on that: 0.0013 of pooled Dice.

    Every other mean of the pictures as their files have them is within 1e-3, too.
    """
    as_stored = {id_: data[id_]._replace(image=task.halved(data[id_].image)) for id_ in ids}
    halved, whole = (
        task.scored({id_: found > 0 for id_, found in labels_of(segmenter, of, ids).items()}, data)["scores"]
        for of in (as_stored, data)
    )
    for score, value in halved.items():
        assert whole[score] == pytest.approx(value, abs=2e-3 if score == "pooled_dice" else 1e-3), score
    return halved


WHOLE = {
    "dsb2018": lambda s, task, data, entry, ids: task.nuclei_scores.scored(labels_of(s, data, ids), data)["scores"],
    "isbi2012": of_slices,
    "isic2017": of_lesions,
    "usiigaci": lambda s, task, data, entry, ids: task.touching_scores.scored(labels_of(s, data, ids), data)["scores"],
}


@pytest.mark.skipif("UNETBOOK_FULL" not in os.environ, reason="half an hour: set UNETBOOK_FULL=1, and UNETBOOK_DATA")
@pytest.mark.parametrize("name", KEPT)
def test_the_kept_scores_come_out_again_on_all_test_images(name):
    """Each picture as its file has it (of lesions, as the stored run saw it), 1e-3; of 100 objects, 0.1."""
    study, arm = KEPT[name]
    (of_study, kept, entry), data, task = stored(name), pictures(study.name), task_of(study)
    assert task.split(data) == of_study.split
    parts = task.parts(data, of_study.split, Read(study.values(arm)), kept["seed"])
    found = WHOLE[study.name](unetbook.load(name), task, data, entry, parts["test"])
    before = kept["scores"]
    rows = {score: (before[score], round(found[score], 5), round(found[score] - before[score], 5)) for score in before}
    print(name, json.dumps(rows))
    for score, (value, now, _) in rows.items():
        of_100 = score in ("merged", "split", "missed", "extra")
        assert now == pytest.approx(value, abs=0.1 if of_100 else 1e-3), f"{name}, {score}: stored, measured {rows}"


def _stem(id_):
    return id_.replace("/", "-")
