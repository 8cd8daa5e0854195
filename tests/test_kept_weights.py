"""The weights of whole tasks: `predict` with them gives the stored scores again, on images that were held out."""

import os

import cv2
import numpy as np
import pytest

from unetbook import __main__, recipes, scores
from unetbook.datasets import _images, dsb2018

IMAGES = 12  # of the test part; all of them take minutes


def nuclei(sample, found):
    return {"dsb": scores.dsb_score([sample.labels], [found]), "iou": scores.iou(sample.labels > 0, found > 0)}


KEPT = {"dsb2018-unet": (dsb2018, nuclei), "dsb2018-unetpp": (dsb2018, nuclei)}


@pytest.mark.parametrize("name", KEPT)
def test_half_precision_costs_next_to_nothing(name):
    result = recipes.result(name)
    stored = result["seeds"][str(result["kept"]["seed"])]["scores"]
    for score in ("dsb", "f", "iou"):
        assert result["kept"]["scores"][score] == pytest.approx(stored[score], abs=0.005)


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the real images are not at hand: set UNETBOOK_DATA")
@pytest.mark.parametrize("name", KEPT)
def test_predict_gives_the_stored_scores_again(name, tmp_path):
    dataset, scored = KEPT[name]
    result = recipes.result(name)
    rows = result["seeds"][str(result["kept"]["seed"])]["images"]
    chosen = sorted(rows)[:: max(1, len(rows) // IMAGES)]
    try:
        samples = dataset.load(ids=chosen)
    except FileNotFoundError:
        pytest.skip(f"the images of {name} are not below UNETBOOK_DATA")
    (tmp_path / "pictures").mkdir()
    for sample in samples:
        image = np.round(255 * sample.image[..., ::-1]).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / f"{sample.id}.png"), image)
    weights = recipes.results_folder() / "weights" / result["kept"]["file"]
    paths = [str(tmp_path / "out"), str(tmp_path / "pictures")]
    assert __main__.main(["predict", "--model", str(weights), "--out", *paths]) == 0
    again = []
    for sample in samples:
        found = _images.mask((tmp_path / "out" / f"{sample.id}_labels.png").read_bytes(), "answer", numbers=True)
        again.append(scored(sample, found))
    for score in again[0]:
        means = [np.mean([row[score] for row in part]) for part in (again, [rows[id_] for id_ in chosen])]
        assert means[0] == pytest.approx(means[1], abs=0.01), score
        worst = max(abs(row[score] - rows[id_][score]) for row, id_ in zip(again, chosen, strict=True))
        assert worst < 0.1, f"{score}: an image differs by {worst}"
