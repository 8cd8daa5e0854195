"""What the lesion recipes share: pictures, five folds, and how a network is judged. Chapter 17.

98 of the 150 validation images of ISIC 2017, each squeezed to one square for the network, and judged at its own size.
Each image is tested once: in fold k, part k is the test, the next part is for choices, the other three to learn from.
"""

from typing import NamedTuple

import cv2
import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import clear_border

from unetbook import labels, normalize, resizing, scores, training
from unetbook.augment import Augmenter
from unetbook.datasets import isic2017
from unetbook.recipes._raw import raw
from unetbook.segmenter import Segmenter

DATASET = isic2017
FOLDS = (0, 1, 2, 3, 4)
SPLIT_SEED = 2017
THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
SMALL = 64  # side of the mask that says the same of each image
FIRST = 20  # training images that are judged after each epoch
SQUARES = (256, 192)  # sides at which networks of this chapter work
PASSPORT = {
    "task": "skin lesions in dermoscopy images",
    "classes": ["skin", "lesion"],
    "input": "three channels, RGB",
    "channels": 3,
    "normalize": "as_it_is",
}
LONGEST = 1024  # pixels; the images at hand have at most 1,022 a side, and the publisher's own several thousand
# The last id of each kind, which the images themselves tell at a glance.
KINDS = ((8025, "colored stickers"), (10459, "fills the picture"), (14428, "ruler"), (9999999, "two lamps"))


class Picture(NamedTuple):
    """One image as in its file, (H, W, 3); its lesion, int8 (H, W), 1 = lesion; its kind."""

    image: np.ndarray
    lesion: np.ndarray
    kind: str


def load(root=None) -> dict[str, Picture]:
    """All pictures by id; one that is longer than ``LONGEST`` is made smaller, so that all fit into memory."""
    pictures = {}
    for sample in DATASET.load(root):
        image, lesion = sample.image, sample.labels
        shrink = LONGEST / max(lesion.shape)
        if shrink < 1:
            image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            lesion = cv2.resize(lesion.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_AREA) >= 0.5
        pictures[sample.id] = Picture(raw(image), lesion.astype(np.int8), kind(sample.id))
    return pictures


def kind(id_) -> str:
    """What an image shows beside its lesion: the ids of the set are in order of its sources."""
    return next(name for last, name in KINDS if int(id_.split("_")[1]) <= last)


def split(data) -> dict[str, list[str]]:
    """Five parts of all ids, alike in kinds and in sizes of lesion; the data set names no patients.

    By kind and share of lesion, ids are taken five at a time, and each of the five goes into a part at random. No
    near-duplicate was found: the twelve pairs whose thumbnails correlate most, in any of eight positions, share a lens
    or a ruler.
    """
    alike = sorted(data, key=lambda id_: (data[id_].kind, data[id_].lesion.mean(dtype=float), id_))
    rng, parts = np.random.default_rng(SPLIT_SEED), {number: [] for number in FOLDS}
    for first in range(0, len(alike), len(FOLDS)):
        five = alike[first : first + len(FOLDS)]
        for number, id_ in zip(rng.permutation(len(FOLDS)).tolist(), five, strict=False):
            parts[number].append(id_)
    return {f"part {number}": sorted(part) for number, part in parts.items()}


def fold(parts, number) -> dict[str, list[str]]:
    """Train, validation and test of one fold, three parts, one and one: 6 : 2 : 2."""
    turned = [parts[f"part {(number + step) % len(FOLDS)}"] for step in FOLDS]
    return {"train": sorted(id_ for part in turned[2:] for id_ in part), "validation": turned[1], "test": turned[0]}


def ids(data) -> list[str]:
    """The images that the data have."""
    return list(data)


def batches(data, split, settings, seed) -> training.Tiles:
    """Whole training images drawn at random, squeezed, and changed where the settings say how.

    ``color``: besides, each channel times a number of its own, 1 - color to 1 + color; skin and lamps differ in it.
    """
    side, chosen = settings["side"], split["train"]
    augmenter = Augmenter(**settings["augmentation"]) if settings.get("augmentation") else None
    color = settings.get("color", 0)

    def augment(image, mask, rng):
        image, mask = augmenter(image, mask, rng)
        return np.clip(image * rng.uniform(1 - color, 1 + color, 3).astype(np.float32), 0, 1), mask

    masks = [np.rint(resizing.squeezed(data[id_].lesion, side)[..., 0]).astype(np.int8) for id_ in chosen]
    images = [resizing.squeezed(_halved(data[id_].image), side).astype(np.float16) for id_ in chosen]
    return training.Tiles(
        images, masks, side, side, settings["batch"], settings["steps"], seed, augment if augmenter else None
    )


def _halved(image):
    """An image in [0, 1] in half precision, in which networks learned and baselines are judged."""
    return normalize.as_floats(image).astype(np.float16)


def segmenter(model, side, averaged=False, whole=True) -> Segmenter:
    """The network as ``predict`` uses it, by way of ``side`` x ``side`` pixels.

    averaged: over eight positions. whole: the one piece of ``instances.one_piece``, not all pixels of the threshold.
    """
    return Segmenter(model, PASSPORT | {"side": side, "averaged": "eight" if averaged else None, "one_piece": whole})


def validate(model, data, split, side, whole=True) -> dict:
    """Cross-entropy and mean Dice at the images' own size, one position, threshold 0.5; whole: of the one piece.

    On the validation images, and on the first few training images as they are: ``train_dice`` beside ``val_dice`` tells
    whether a network knows too little or has learned its images by heart.
    """
    reader = segmenter(model, side, whole=whole)
    return {
        f"{part}_{name}": value
        for part, ids_of in (("val", split["validation"]), ("train", split["train"][:FIRST]))
        for name, value in _at_half(reader, data, ids_of).items()
    }


def _at_half(reader, data, ids_of):
    losses_of, dice = [], []
    for id_ in ids_of:
        maps, lesion = reader.maps(data[id_].image), data[id_].lesion > 0
        found = resizing.stretched(maps, *lesion.shape)[..., 0]
        losses_of.append(-np.mean(np.log(np.clip(np.where(lesion, found, 1 - found), 1e-7, 1))))
        dice.append(scores.dice(lesion, reader.labels(maps, lesion.shape) > 0))
    return {"loss": float(np.mean(losses_of)), "dice": float(np.mean(dice))}


def evaluate(model, data, split, side, averaged, whole=True) -> dict:
    """Scores of the test images; the threshold is the one with the best mean Dice on the validation images.

    averaged: by the mean of eight positions; ``without_averaging`` then tells what one position gives. whole: the one
    piece of ``instances.one_piece``; ``all_pieces`` then tells what every pixel above the threshold gives.
    ``otherwise``: the same network by other conventions of Dice, which studies that name none may have used.
    """
    reader = segmenter(model, side, averaged, whole)
    entry = _judged(reader, data, split, once=False)
    if averaged:
        once = _judged(reader, data, split, once=True)
        entry["without_averaging"] = {name: once[name] for name in ("scores", "choices")}
    return entry


def _judged(reader, data, split, once):
    known, seen = (
        {id_: reader.maps(data[id_].image, once=once) for id_ in split[part]} for part in ("validation", "test")
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
    return entry | {"otherwise": _otherwise(reader, data, split["test"]), "choices": {"threshold": threshold}}


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
            "kind": data[id_].kind,
            "touches": bool(lesion[[0, -1]].any() or lesion[:, [0, -1]].any()),
            "contrast": _contrast(data[id_].image, lesion),
        }
    means = {name: float(np.mean([row[name] for row in rows.values()])) for name in ("dice", "jaccard", "thresholded")}
    shared, total = (sum(row[name] for row in rows.values()) for name in ("shared", "total"))
    return {"scores": {**means, "pooled_dice": shared / total if total else 1.0}, "images": rows}


def _contrast(image, lesion):
    gray = _halved(image).mean(axis=2, dtype=np.float32)
    return float(gray[~lesion].mean() - gray[lesion].mean()) if 0 < lesion.mean() < 1 else 0.0


def baselines(data, split) -> dict[str, dict]:
    """All images without a network, and the truth by way of squares, which is the most that a network can reach.

    ``constant`` says the same of each test image of a fold: where most lesions of its training images lie, cut where
    the mean Dice of the training images is best. ``otsu`` is the dark side of Otsu's threshold, and ``otsu, one piece``
    the largest piece of it that does not touch the edge, as hairs and the rim of the lens do.
    """
    names = "constant", "otsu", "otsu, one piece", *(f"truth by way of {side} x {side}" for side in SQUARES)
    answers = {name: {} for name in names}
    for number in FOLDS:
        parts = fold(split, number)
        usual = _usual([data[id_].lesion for id_ in parts["train"]])
        for id_ in parts["test"]:
            gray = _halved(data[id_].image).mean(axis=2, dtype=np.float32)
            dark = gray <= threshold_otsu(gray)
            answers["constant"][id_] = resizing.stretched(usual, *gray.shape)[..., 0] >= 0.5
            answers["otsu"][id_] = dark
            answers["otsu, one piece"][id_] = _largest_inside(dark)
            for side in SQUARES:
                small = resizing.squeezed(data[id_].lesion, side)
                answers[f"truth by way of {side} x {side}"][id_] = resizing.stretched(small, *gray.shape)[..., 0] >= 0.5
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
