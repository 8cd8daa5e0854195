"""What the recipes of touching cells share: phase-contrast pictures, their split, two targets, and scores. Chapter 18.

50 pictures of glioblastoma cells (Usiigaci), worked on at half their size and judged at their own. The recipes differ
in nothing but the target and its weights: cells with a gap where they touch, with the weight map of the U-Net paper or
without, and cells with a border class.
"""

import itertools
from typing import NamedTuple

import cv2
import keras
import numpy as np
from skimage.filters import threshold_otsu

from unetbook import instances, labels, losses, nets, resizing, scores, tiling, training, weightmap
from unetbook.augment import Augmenter
from unetbook.datasets import usiigaci
from unetbook.recipes._schedule import falling_adam as optimizer

DATASET = usiigaci
LOSS = losses.CrossEntropy(reduction="mean_with_sample_weight")
SIDE = 512  # pixels that a picture of 1022 x 1024 is squeezed to
FRACTIONS = {"train": 0.6, "validation": 0.16, "test": 0.24}
SPLIT_SEED = 50
SAME_PLACE = 0.1  # correlation of the details of two pictures; of unrelated ones it is 0.03 at most
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
SMALLEST = (0, 25, 50, 100)  # pixels at the size that is worked on
CRUMB = usiigaci.SMALLEST // 4  # pixels at that size; thin parts of a cell break off when it is squeezed


class Picture(NamedTuple):
    """One picture squeezed, float32 (SIDE, SIDE, 1); its cells, int32 (SIDE, SIDE), and those at its own size."""

    image: np.ndarray
    cells: np.ndarray
    truth: np.ndarray


def load(root=None) -> dict[str, Picture]:
    """All pictures by id."""
    pictures = {}
    for sample in DATASET.load(root):
        cells = usiigaci.without_crumbs(resizing.stretched_labels(sample.labels, SIDE, SIDE), CRUMB)
        pictures[sample.id] = Picture(resizing.squeezed(sample.image, SIDE), cells, sample.labels)
    return pictures


def split(data) -> dict[str, list[str]]:
    """Ids by part; pictures of one place stay together."""
    parts = training.split(list(data), tuple(FRACTIONS.values()), SPLIT_SEED, places([p.image for p in data.values()]))
    return dict(zip(FRACTIONS, parts, strict=True))


def places(images) -> list[int]:
    """A number for each picture, equal where two show one place: the numbers of the sets tell no order in time.

    What stays at a place while cells crawl on are details of the dish; the picture less its blur, at quarter size.
    """
    small = [cv2.resize(image[..., 0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in images]
    details = np.stack([(one - cv2.GaussianBlur(one, (0, 0), 8)).ravel() for one in small])
    details -= details.mean(axis=1, keepdims=True)
    details /= np.maximum(np.linalg.norm(details, axis=1, keepdims=True), 1e-12)
    alike, place = details @ details.T > SAME_PLACE, list(range(len(images)))
    for one, other in itertools.combinations(range(len(images)), 2):
        if alike[one, other]:
            place = [place[one] if number == place[other] else number for number in place]
    return place


def ids(data) -> list[str]:
    """The pictures that the data have."""
    return list(data)


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 1) to logits (N, H, W, classes)."""
    options = {name: settings[name] for name in ("filters", "depth", "normalization")}
    return nets.unet((None, None, 1), settings["classes"], padding="same", **options)


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training pictures with the settings' target and weights."""
    chosen = [data[id_] for id_ in split["train"]]
    targets = [target(picture.cells, settings) for picture in chosen]
    return training.Tiles(
        [picture.image for picture in chosen],
        [classes for classes, _ in targets],
        settings["tile"],
        settings["tile"],
        settings["batch"],
        settings["steps"],
        seed,
        augment=Augmenter(**settings["augmentation"]),
        weights=[weights for _, weights in targets],
    )


def target(cells, settings) -> tuple[np.ndarray, np.ndarray]:
    """Classes int8 (H, W) and weights float32 (H, W) of one picture."""
    if settings["way"] == "border":
        return instances.border_target(cells).astype(np.int8), np.ones(cells.shape, np.float32)
    apart = labels.separate(cells)
    return (apart > 0).astype(np.int8), weightmap.weight_map(apart, settings["w0"], settings["sigma"])


def probabilities(model, image) -> np.ndarray:
    """Soft-max (SIDE, SIDE, classes) of one squeezed picture."""
    return keras.ops.convert_to_numpy(nets.probabilities(tiling.predict(model, image)))


def validate(model, data, split) -> dict:
    """Cross-entropy of cell against background on the validation pictures, and F of the cells at threshold 0.5."""
    way, losses_of, found = _way(model), [], {}
    for id_ in split["validation"]:
        prediction, cells = probabilities(model, data[id_].image), data[id_].cells
        right = np.where(cells > 0, 1 - prediction[..., 0], prediction[..., 0])
        losses_of.append(-np.mean(np.log(np.clip(right, 1e-7, 1))))
        found[id_] = _objects(prediction, {"way": way, "threshold": 0.5, "smallest": SMALLEST[1]})
    return {"val_loss": float(np.mean(losses_of)), "val_f": _pooled(found, data, "cells")["f"]}


def evaluate(model, data, split) -> dict:
    """Scores of the test pictures at their own size; threshold and smallest cell with the best F on validation."""
    known = {id_: probabilities(model, data[id_].image) for id_ in split["validation"]}
    tried = [
        {"way": _way(model), "threshold": threshold, "smallest": smallest}
        for threshold, smallest in itertools.product(THRESHOLDS, SMALLEST)
    ]

    def f(choices):
        return _pooled({id_: _objects(one, choices) for id_, one in known.items()}, data, "cells")["f"]

    choices = max(tried, key=f)
    found = {id_: _objects(probabilities(model, data[id_].image), choices) for id_ in split["test"]}
    return {**scored(found, data), "choices": choices}


def scored(found, data) -> dict:
    """Scores of answers {id: labels (SIDE, SIDE)}, stretched to the pictures' own size; together and by picture."""
    stretched = {id_: resizing.stretched_labels(one, *data[id_].truth.shape) for id_, one in found.items()}
    return {
        "scores": _pooled(stretched, data, "truth"),
        "images": {id_: _pooled({id_: answer}, data, "truth") for id_, answer in stretched.items()},
    }


def baselines(data, split) -> dict[str, dict]:
    """The test pictures without a network: nothing found; Otsu's threshold of the local contrast, cut at necks.

    And a ceiling: the truth at the size that is worked on, which is what a perfect network would answer.
    """

    def otsu(id_):
        image = data[id_].image
        rough = cv2.GaussianBlur(np.abs(image[..., 0] - cv2.GaussianBlur(image[..., 0], (0, 0), 20)), (0, 0), 3)
        return instances.from_probabilities(
            (rough > threshold_otsu(rough)).astype(np.float32), "watershed", smallest=50
        )

    answers = {
        "constant": lambda id_: np.zeros_like(data[id_].cells),
        "otsu and watershed": otsu,
        "truth at half size": lambda id_: data[id_].cells,
    }
    return {name: scored({id_: answer(id_) for id_ in split["test"]}, data) for name, answer in answers.items()}


PARTS = load, split, ids, build, optimizer, batches, validate, evaluate, baselines  # of each recipe


def _way(model):
    return "border" if model.output_shape[-1] == 3 else "regrow"


def _objects(prediction, choices):
    return instances.from_probabilities(prediction, choices["way"], choices["threshold"], choices["smallest"])


def _pooled(found, data, which):
    """Mean DSB score and Dice; F at IoU 0.5 and the errors for 100 true cells, pooled over the pictures."""
    truths = {id_: getattr(data[id_], which) for id_ in found}
    at_half = np.sum([scores.objects(truths[id_], found[id_])[:3] for id_ in found], axis=0)
    matched, missed, extra = (int(count) for count in at_half)
    errors = np.sum([scores.object_errors(truths[id_], found[id_]) for id_ in found], axis=0)
    cells = matched + missed
    return {
        "f": 2 * matched / (2 * matched + missed + extra) if matched + missed + extra else 1.0,
        "dsb": scores.dsb_score(list(truths.values()), list(found.values())),
        "dice": float(np.mean([scores.dice(truths[id_] > 0, found[id_] > 0) for id_ in found])),
        **dict(zip(scores.ObjectErrors._fields, (100 * errors / max(cells, 1)).tolist(), strict=True)),
        "cells": cells,
    }
