"""Skin lesions (ISIC 2017): each picture squeezed to one square for the network, judged at its own size, in folds.

98 of the 150 validation images. Each is tested once: in fold k, part k is the test, the next part is for choices, the
other three to learn from.
"""

from typing import NamedTuple

import cv2
import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import clear_border

from studies import training as arms
from studies.tasks import usual
from studies.tasks.pictures import raw
from unetbook import labels, normalize, resizing, scores, splits, training
from unetbook.datasets import isic2017
from unetbook.segmenter import Segmenter

DATASET, FOLDS = isic2017, True
ids, answering = usual.ids, usual.answering
COUNT, SPLIT_SEED = 5, 2017
LONGEST = 1024  # pixels; the images at hand have at most 1,022 a side, and the publisher's own several thousand
THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
SMALL = 64  # side of the mask that says the same of each image
FIRST = 20  # training images that are judged after each epoch
SQUARES = (256, 192)  # sides at which the networks work
PASSPORT = {
    "task": "skin lesions in dermoscopy images",
    "classes": ["skin", "lesion"],
    "input": "three channels, RGB",
    "channels": 3,
    "normalize": "as_it_is",
    "training_data": "ISIC 2017 part 1, 60 of its validation images (Codella et al. 2018)",
    "license": "MIT for the code; the images are CC0",
}


class Picture(NamedTuple):
    """One image as in its file, (H, W, 3); its lesion, int8 (H, W), 1 = lesion; its kind."""

    image: np.ndarray
    lesion: np.ndarray
    kind: str


def load(settings, seed, root=None) -> dict[str, Picture]:
    """All pictures by id; one that is longer than ``LONGEST`` is made smaller, so that all fit into memory."""
    pictures = {}
    for sample in isic2017.load(root):
        image, lesion = sample.image, sample.labels
        shrink = LONGEST / max(lesion.shape)
        if shrink < 1:
            image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            lesion = cv2.resize(lesion.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_AREA) >= 0.5
        pictures[sample.id] = Picture(raw(image), lesion.astype(np.int8), isic2017.kind(sample.id))
    return pictures


def split(data) -> dict[str, list[str]]:
    """Five parts of all ids, alike in kinds and in sizes of lesion; the data set names no patients.

    No near-duplicate was found: the twelve pairs whose thumbnails correlate most, in any of eight positions, share a
    lens or a ruler.
    """
    alike = sorted(data, key=lambda id_: (data[id_].kind, data[id_].lesion.mean(dtype=float), id_))
    return splits.folds(alike, SPLIT_SEED, COUNT)


def parts(data, split, settings, seed):
    """Train, validation and test of the fold that the seed names."""
    return splits.fold(split, seed)


def passport(settings) -> dict:
    """Entries of the kept file, and of the ``Segmenter`` that judges."""
    averaged = "eight" if settings.averaged else None
    return PASSPORT | {"side": settings.side, "averaged": averaged, "one_piece": settings.one_piece}


def build(data, settings):
    """Images (N, H, W, 3) to logits (N, H, W, 1)."""
    return arms.network(settings, 3, 1)


def side(settings) -> int:
    """Pixels of the square."""
    return settings.side


def batches(data, parts, settings, seed) -> training.Tiles:
    """Whole training images drawn at random, squeezed, and changed where the settings say how.

    ``color``: besides, each channel times a number of its own, 1 - color to 1 + color; skin and lamps differ in it.
    """
    square, chosen = settings.side, parts["train"]
    change = arms.augmentation(settings)
    color = settings.color if change else 0

    def augment(image, mask, rng):
        image, mask = change(image, mask, rng)
        return np.clip(image * rng.uniform(1 - color, 1 + color, 3).astype(np.float32), 0, 1), mask

    masks = [np.rint(resizing.squeezed(data[id_].lesion, square)[..., 0]).astype(np.int8) for id_ in chosen]
    images = [resizing.squeezed(halved(data[id_].image), square).astype(np.float16) for id_ in chosen]
    return training.Tiles(
        images, masks, square, square, settings.batch, settings.steps, seed, augment if change else None
    )


def halved(image):
    """An image in [0, 1] in half precision, in which networks learned and baselines are judged."""
    return normalize.as_floats(image).astype(np.float16)


def validate(model, data, parts, settings) -> dict:
    """Cross-entropy and mean Dice at the images' own size, one position, threshold 0.5.

    On the validation images, and on the first few training images as they are: ``train_dice`` beside ``val_dice`` tells
    whether a network knows too little or has learned its images by heart.
    """
    reader = Segmenter(model, passport(settings))
    return {
        f"{part}_{name}": value
        for part, ids_of in (("val", parts["validation"]), ("train", parts["train"][:FIRST]))
        for name, value in _at_half(reader, data, ids_of).items()
    }


def _at_half(reader, data, ids_of):
    losses_of, dice = [], []
    for id_ in ids_of:
        maps, lesion = reader.maps(data[id_].image, once=True), data[id_].lesion > 0
        found = resizing.stretched(maps, *lesion.shape)[..., 0]
        losses_of.append(-np.mean(np.log(np.clip(np.where(lesion, found, 1 - found), 1e-7, 1))))
        dice.append(scores.dice(lesion, reader.labels(maps, lesion.shape) > 0))
    return {"loss": float(np.mean(losses_of)), "dice": float(np.mean(dice))}


def evaluate(model, data, parts, settings) -> dict:
    """Scores of the test images; the threshold is the one with the best mean Dice on the validation images.

    averaged: by the mean of eight positions; ``without_averaging`` then tells what one position gives. one_piece: of
    ``instances.one_piece``; ``all_pieces`` then tells what every pixel above the threshold gives. ``otherwise``: the
    same network by other conventions of Dice, which studies that name none may have used.
    """
    reader = Segmenter(model, passport(settings))
    entry = _judged(reader, data, parts, once=False)
    if settings.averaged:
        once = _judged(reader, data, parts, once=True)
        entry["without_averaging"] = {name: once[name] for name in ("scores", "choices")}
    return entry


def _judged(reader, data, parts, once):
    known, seen = (
        {id_: reader.maps(data[id_].image, once=once) for id_ in parts[part]} for part in ("validation", "test")
    )

    def masks(maps, **choices):
        return {id_: reader.labels(of, data[id_].lesion.shape, **choices) > 0 for id_, of in maps.items()}

    def mean_dice(threshold):
        found = masks(known, threshold=threshold)
        return np.mean([scores.dice(data[id_].lesion > 0, mask) for id_, mask in found.items()])

    threshold = max(THRESHOLDS, key=mean_dice)
    entry = scored(masks(seen, threshold=threshold), data)
    if reader.choices.way == "one_piece":
        entry["all_pieces"] = scored(masks(seen, way="classes", threshold=threshold), data)["scores"]
    return entry | {"otherwise": _otherwise(reader, data, parts["test"]), "choices": {"threshold": threshold}}


def _otherwise(reader, data, ids_of):
    """Mean and pooled Dice in the square, at a threshold of 0.5, and soft: probabilities counted, nothing cut."""
    rows = []
    for id_ in ids_of:
        found = reader.maps(data[id_].image, once=True)[..., 0]
        lesion = np.rint(resizing.squeezed(data[id_].lesion, len(found))[..., 0])
        rows.append([(2 * np.sum(one * lesion), np.sum(one) + np.sum(lesion)) for one in (found >= 0.5, found)])
    shared, total = np.moveaxis(np.array(rows, float), 2, 0)  # (images, conventions)
    mean, pooled = np.mean(shared / np.maximum(total, 1), axis=0), shared.sum(axis=0) / np.maximum(total.sum(axis=0), 1)
    names = "square_dice", "soft_dice", "square_pooled", "soft_pooled"
    return dict(zip(names, [float(value) for value in (*mean, *pooled)], strict=True))


def scored(found, data) -> dict:
    """Scores of masks {id: (H, W)}: means over images, Dice also with the pixels of all images pooled, and by image.

    By image also the share of the picture that is lesion and that was found, the pixels to pool (twice those that both
    share, and the sum of both), the kind of image, whether the lesion meets the edge of the picture, and by how much
    gray it is darker than its skin.
    """
    rows = []
    for id_, mask in found.items():
        lesion = data[id_].lesion > 0
        rows.append(
            {
                "image": id_,
                "dice": scores.dice(lesion, mask),
                "jaccard": scores.iou(lesion, mask),
                "thresholded": scores.thresholded_jaccard(lesion, mask),
                "lesion": float(lesion.mean()),
                "found": float(mask.mean()),
                "shared": 2 * int(np.count_nonzero(lesion & mask)),
                "total": int(np.count_nonzero(lesion)) + int(np.count_nonzero(mask)),
                "kind": data[id_].kind,
                "touches": bool(lesion[[0, -1]].any() or lesion[:, [0, -1]].any()),
                "contrast": _contrast(data[id_].image, lesion),
            }
        )
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("dice", "jaccard", "thresholded")}
    shared, total = (sum(row[name] for row in rows) for name in ("shared", "total"))
    return {"scores": {**means, "pooled_dice": shared / total if total else 1.0}, "tables": {"images": rows}}


def _contrast(image, lesion):
    gray = halved(image).mean(axis=2, dtype=np.float32)
    return float(gray[~lesion].mean() - gray[lesion].mean()) if 0 < lesion.mean() < 1 else 0.0


def baselines(data, split, settings) -> dict[str, dict]:
    """All images without a network, and the truth by way of squares, which is the most that a network can reach.

    ``constant`` says the same of each test image of a fold: where most lesions of its training images lie, cut where
    the mean Dice of the training images is best. ``otsu`` is the dark side of Otsu's threshold, and ``otsu, one piece``
    the largest piece of it that does not touch the edge, as hairs and the rim of the lens do.
    """
    names = "constant", "otsu", "otsu, one piece", *(f"truth by way of {square} x {square}" for square in SQUARES)
    answers = {name: {} for name in names}
    for number in range(len(split)):
        fold = splits.fold(split, number)
        usual = _usual([data[id_].lesion for id_ in fold["train"]])
        for id_ in fold["test"]:
            gray = halved(data[id_].image).mean(axis=2, dtype=np.float32)
            dark = gray <= threshold_otsu(gray)
            answers["constant"][id_] = resizing.stretched(usual, *gray.shape)[..., 0] >= 0.5
            answers["otsu"][id_] = dark
            answers["otsu, one piece"][id_] = _largest_inside(dark)
            for name, square in zip(names[3:], SQUARES, strict=True):
                small = resizing.squeezed(data[id_].lesion, square)
                answers[name][id_] = resizing.stretched(small, *gray.shape)[..., 0] >= 0.5
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
