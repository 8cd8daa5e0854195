"""What the lesion recipes share: pictures, five folds, and how a network is judged. Chapter 17.

98 of the 150 validation images of ISIC 2017, each squeezed to one square for the network, and judged at its own size.
Each image is tested once: in fold k, part k is the test, the next part is for choices, the other three to learn from.
"""

from typing import NamedTuple

import keras
import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import clear_border

from unetbook import averaging, labels, nets, resizing, scores, training
from unetbook.augment import Augmenter
from unetbook.datasets import isic2017

DATASET = isic2017
FOLDS = (0, 1, 2, 3, 4)
SPLIT_SEED = 2017
THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
SMALL = 64  # side of the mask that says the same of each image


class Picture(NamedTuple):
    """One image, float16 (H, W, 3), and its lesion, int8 (H, W), 1 = lesion."""

    image: np.ndarray
    lesion: np.ndarray


def load(root=None) -> dict[str, Picture]:
    """All pictures by id."""
    return {s.id: Picture(s.image.astype(np.float16), s.labels.astype(np.int8)) for s in DATASET.load(root)}


def split(data) -> dict[str, list[str]]:
    """Five parts of all ids, at random: the data set names no patients, and no two images show one lesion.

    The twelve pairs whose thumbnails correlate most, in any of eight positions, share a lens or a ruler and no lesion.
    """
    parts = training.split(list(data), (1 / len(FOLDS),) * len(FOLDS), SPLIT_SEED)
    return {f"part {number}": part for number, part in zip(FOLDS, parts, strict=True)}


def fold(parts, number) -> dict[str, list[str]]:
    """Train, validation and test of one fold, three parts, one and one: 6 : 2 : 2."""
    turned = [parts[f"part {(number + step) % len(FOLDS)}"] for step in FOLDS]
    return {"train": sorted(id_ for part in turned[2:] for id_ in part), "validation": turned[1], "test": turned[0]}


def ids(data) -> list[str]:
    """The images that the data have."""
    return list(data)


def batches(data, split, settings, seed) -> training.Tiles:
    """Whole training images in random order, squeezed, and changed at random where the settings say how."""
    side, chosen = settings["side"], split["train"]
    augment = Augmenter(**settings["augmentation"]) if settings.get("augmentation") else None
    masks = [np.rint(resizing.squeezed(data[id_].lesion, side)[..., 0]).astype(np.int8) for id_ in chosen]
    images = [resizing.squeezed(data[id_].image, side).astype(np.float16) for id_ in chosen]
    return training.Tiles(images, masks, side, side, settings["batch"], settings["steps"], seed, augment)


def probability(model, image, side, averaged=False) -> np.ndarray:
    """Probability of lesion, (H, W), by way of ``side`` x ``side`` pixels; ``averaged`` over eight positions."""

    def predict(shown):
        answer = nets.probabilities(model.predict_on_batch(np.asarray(shown, np.float32)[None]))
        return keras.ops.convert_to_numpy(answer)[0]

    square = resizing.squeezed(image, side)
    answer = averaging.eight(predict, square) if averaged else predict(square)
    return resizing.stretched(answer, *image.shape[:2])[..., 0]


def validate(model, data, split, side) -> dict:
    """Cross-entropy and mean Dice of the validation images at their own size, threshold 0.5, one position."""
    losses_of, dice = [], []
    for id_ in split["validation"]:
        found, lesion = probability(model, data[id_].image, side), data[id_].lesion > 0
        losses_of.append(-np.mean(np.log(np.clip(np.where(lesion, found, 1 - found), 1e-7, 1))))
        dice.append(scores.dice(lesion, found >= 0.5))
    return {"val_loss": float(np.mean(losses_of)), "val_dice": float(np.mean(dice))}


def evaluate(model, data, split, side, averaged) -> dict:
    """Scores of the test images; the threshold is the one with the best mean Dice on the validation images.

    averaged: by the mean of eight positions; ``without_averaging`` then tells what one position gives.
    """
    entry = _judged(model, data, split, side, averaged)
    if not averaged:
        return entry
    once = _judged(model, data, split, side, False)
    return entry | {"without_averaging": {name: once[name] for name in ("scores", "choices")}}


def _judged(model, data, split, side, averaged):
    known = {id_: probability(model, data[id_].image, side, averaged) for id_ in split["validation"]}

    def mean_dice(threshold):
        return np.mean([scores.dice(data[id_].lesion > 0, found >= threshold) for id_, found in known.items()])

    threshold = max(THRESHOLDS, key=mean_dice)
    found = {id_: probability(model, data[id_].image, side, averaged) >= threshold for id_ in split["test"]}
    return {**scored(found, data), "choices": {"threshold": threshold}}


def scored(found, data) -> dict:
    """Scores of masks {id: (H, W)}: means over images, Dice also with the pixels of all images pooled, and by image.

    By image also the share of the picture that is lesion and that was found, and the pixels to pool: twice those that
    both share, and the sum of both.
    """
    rows = {}
    for id_, mask in found.items():
        lesion = data[id_].lesion > 0
        rows[id_] = {
            "dice": scores.dice(lesion, mask),
            "jaccard": scores.iou(lesion, mask),
            "thresholded": scores.thresholded_jaccard(lesion, mask),
            "lesion": float(lesion.mean()),
            "found": float(mask.mean()),
            "shared": 2 * int(np.count_nonzero(lesion & mask)),
            "total": int(np.count_nonzero(lesion)) + int(np.count_nonzero(mask)),
        }
    means = {name: float(np.mean([row[name] for row in rows.values()])) for name in ("dice", "jaccard", "thresholded")}
    shared, total = (sum(row[name] for row in rows.values()) for name in ("shared", "total"))
    return {"scores": {**means, "pooled_dice": shared / total if total else 1.0}, "images": rows}


def baselines(data, split) -> dict[str, dict]:
    """All images without a network.

    ``constant`` says the same of each test image of a fold: where most lesions of its training images lie, cut where
    the mean Dice of the training images is best. ``otsu`` is the dark side of Otsu's threshold, and ``otsu, one piece``
    the largest piece of it that does not touch the edge, as hairs and the rim of the lens do.
    """
    answers = {name: {} for name in ("constant", "otsu", "otsu, one piece")}
    for number in FOLDS:
        parts = fold(split, number)
        usual = _usual([data[id_].lesion for id_ in parts["train"]])
        for id_ in parts["test"]:
            gray = data[id_].image.mean(axis=2, dtype=np.float32)
            dark = gray <= threshold_otsu(gray)
            answers["constant"][id_] = resizing.stretched(usual, *gray.shape)[..., 0] >= 0.5
            answers["otsu"][id_] = dark
            answers["otsu, one piece"][id_] = _largest_inside(dark)
    return {name: scored(found, data) for name, found in answers.items()}


def _usual(lesions):
    """The mask (SMALL, SMALL, 1) that agrees best with these lesions, squeezed, by mean Dice: their mean, cut."""
    small = [resizing.squeezed(lesion.astype(np.float32), SMALL)[..., 0] for lesion in lesions]
    mean = np.mean(small, axis=0)
    cuts = [mean >= threshold for threshold in THRESHOLDS]
    best = max(cuts, key=lambda cut: np.mean([scores.dice(lesion >= 0.5, cut) for lesion in small]))
    return best[..., None].astype(np.float32)


def _largest_inside(mask):
    """The largest 4-connected piece that does not touch the edge; all of the mask where each does."""
    pieces = clear_border(labels.connected(mask))
    return pieces == np.bincount(pieces[pieces > 0]).argmax() if pieces.any() else mask


PARTS = load, split, fold, ids, batches, baselines  # of each recipe
