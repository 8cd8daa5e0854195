"""How the lesion recipes judge a network: each image at its own size, by folds. Chapter 17."""

import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import clear_border

from unetbook import labels, resizing, scores
from unetbook.recipes import _lesions
from unetbook.segmenter import Segmenter

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
    gray = _lesions.halved(image).mean(axis=2, dtype=np.float32)
    return float(gray[~lesion].mean() - gray[lesion].mean()) if 0 < lesion.mean() < 1 else 0.0


def baselines(data, split) -> dict[str, dict]:
    """All images without a network, and the truth by way of squares, which is the most that a network can reach.

    ``constant`` says the same of each test image of a fold: where most lesions of its training images lie, cut where
    the mean Dice of the training images is best. ``otsu`` is the dark side of Otsu's threshold, and ``otsu, one piece``
    the largest piece of it that does not touch the edge, as hairs and the rim of the lens do.
    """
    names = "constant", "otsu", "otsu, one piece", *(f"truth by way of {side} x {side}" for side in SQUARES)
    answers = {name: {} for name in names}
    for number in _lesions.FOLDS:
        parts = _lesions.fold(split, number)
        usual = _usual([data[id_].lesion for id_ in parts["train"]])
        for id_ in parts["test"]:
            gray = _lesions.halved(data[id_].image).mean(axis=2, dtype=np.float32)
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
