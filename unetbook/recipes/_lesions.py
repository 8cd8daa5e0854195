"""What the lesion recipes share: pictures, five folds, and batches. Chapter 17.

98 of the 150 validation images of ISIC 2017, each squeezed to one square for the network, and judged at its own size.
Each image is tested once: in fold k, part k is the test, the next part is for choices, the other three to learn from.
"""

from typing import NamedTuple

import cv2
import numpy as np

from unetbook import normalize, resizing, training
from unetbook.augment import Augmenter
from unetbook.datasets import isic2017
from unetbook.recipes._raw import raw

DATASET = isic2017
FOLDS = (0, 1, 2, 3, 4)
SPLIT_SEED = 2017
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
    images = [resizing.squeezed(halved(data[id_].image), side).astype(np.float16) for id_ in chosen]
    return training.Tiles(
        images, masks, side, side, settings["batch"], settings["steps"], seed, augment if augmenter else None
    )


def halved(image):
    """An image in [0, 1] in half precision, in which networks learned and baselines are judged."""
    return normalize.as_floats(image).astype(np.float16)


PARTS = load, split, fold, ids, batches  # of each recipe
