"""The weights of whole tasks: `predict` with them gives the stored scores again, on images that were held out."""

import os

import cv2
import numpy as np
import pytest

from unetbook import __main__, recipes, scores
from unetbook.datasets import _archives, _images, dsb2018, isbi2012, isic2017, usiigaci

IMAGES = 8  # of the test part; all of them take minutes


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


KEPT = {
    "dsb2018-unet": (nuclei, nuclei_scores),
    "dsb2018-unetpp": (nuclei, nuclei_scores),
    "isbi2012-paper": (slices, slice_scores),
    "isbi2012-unet": (slices, slice_scores),
    "isic2017-improved": (lesions, lesion_scores),
    "usiigaci-border": (cells, cell_scores),
    "usiigaci-border-weights": (cells, cell_scores),
    "usiigaci-no-weights": (cells, cell_scores),
    "usiigaci-weights": (cells, cell_scores),
}


@pytest.mark.parametrize("name", KEPT)
def test_half_precision_costs_next_to_nothing(name):
    result = recipes.result(name)
    stored = result["seeds"][str(result["kept"]["seed"])]["scores"]
    for score, value in stored.items():
        if score not in ("merged", "split", "missed", "extra"):  # counts for 100 objects
            assert result["kept"]["scores"][score] == pytest.approx(value, abs=0.005)


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the real images are not at hand: set UNETBOOK_DATA")
@pytest.mark.parametrize("name", KEPT)
def test_predict_gives_the_stored_scores_again(name, tmp_path):
    load, scored = KEPT[name]
    result = recipes.result(name)
    entry = result["seeds"][str(result["kept"]["seed"])]
    rows = entry.get("one_threshold", entry)["images"]  # where others stand beside it: that of the stored choices
    chosen = sorted(rows)[:: max(1, len(rows) // IMAGES)][:IMAGES]
    try:
        samples = load(chosen)
    except FileNotFoundError:
        pytest.skip(f"the images of {name} are not below UNETBOOK_DATA")
    (tmp_path / "pictures").mkdir()
    for id_, (content, _) in samples.items():
        (tmp_path / "pictures" / f"{_stem(id_)}.png").write_bytes(content)
    weights = recipes.results_folder() / "weights" / result["kept"]["file"]
    paths = [str(tmp_path / "out"), str(tmp_path / "pictures")]
    assert __main__.main(["predict", "--model", str(weights), "--out", *paths]) == 0
    again = []
    for id_, (_, truth) in samples.items():
        found = _images.mask((tmp_path / "out" / f"{_stem(id_)}_labels.png").read_bytes(), "answer", numbers=True)
        again.append(scored(truth, found))
    for score in again[0]:
        means = [np.mean([row[score] for row in part]) for part in (again, [rows[id_] for id_ in chosen])]
        assert means[0] == pytest.approx(means[1], abs=0.01), score
        worst = max(abs(row[score] - rows[id_][score]) for row, id_ in zip(again, chosen, strict=True))
        assert worst < 0.1, f"{score}: an image differs by {worst}"


def _stem(id_):
    return id_.replace("/", "-")
