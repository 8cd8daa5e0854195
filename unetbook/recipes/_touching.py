"""What the recipes of touching cells share: phase-contrast pictures, their split, and two targets. Chapter 18.

50 pictures of glioblastoma cells (Usiigaci), worked on at half their size and judged at their own. The recipes differ
in nothing but the target and its weights: cells with a gap where they touch, with the border term of the U-Net paper's
weights or without, and cells with a border class, weighted or not.
"""

from typing import NamedTuple

import keras
import numpy as np

from unetbook import instances, labels, losses, nets, normalize, resizing, training, weightmap
from unetbook.augment import Augmenter
from unetbook.datasets import usiigaci
from unetbook.recipes import _strata
from unetbook.recipes._films import films
from unetbook.recipes._raw import raw
from unetbook.recipes._schedule import falling_adam as optimizer

DATASET = usiigaci
LOSS = losses.CrossEntropy(reduction="mean_with_sample_weight")
SIDE = 512  # pixels that a picture of 1022 x 1024 is squeezed to
FRACTIONS = {"train": 0.6, "validation": 0.16, "test": 0.24}
SPLIT_SEED = 50
LARGE = 2000  # pixels; the median cell has 2,658 and more in 23 pictures, and at most 1,618 in the other 27
CRUMB = usiigaci.SMALLEST // 4  # pixels at that size; thin parts of a cell break off when it is squeezed


class Picture(NamedTuple):
    """One picture as in its file, (H, W, 1); its cells, int32 (SIDE, SIDE), and those at its own size; its kind."""

    image: np.ndarray
    cells: np.ndarray
    truth: np.ndarray
    kind: str


def load(root=None) -> dict[str, Picture]:
    """All pictures by id."""
    pictures = {}
    for sample in DATASET.load(root):
        cells = usiigaci.without_crumbs(resizing.stretched_labels(sample.labels, SIDE, SIDE), CRUMB)
        pictures[sample.id] = Picture(raw(sample.image), cells, sample.labels, kind(sample.labels))
    return pictures


def look(image) -> np.ndarray:
    """A picture as a network learns it: stretched and squeezed, float32 (SIDE, SIDE, 1)."""
    return resizing.squeezed(normalize.stretched(normalize.as_floats(image)), SIDE)


def kind(cells) -> str:
    """Two kinds of picture lie in the set, and nothing between them: the median cell tells which this is."""
    areas = np.bincount(cells.ravel())[1:]
    return "large cells" if areas.any() and np.median(areas[areas > 0]) > LARGE else "small cells"


def split(data) -> dict[str, list[str]]:
    """Ids by part, 60, 16 and 24 % of each kind; pictures that may be frames of one film stay together."""
    kinds, film = [picture.kind for picture in data.values()], films([picture.cells for picture in data.values()])
    return _strata.split(list(data), kinds, film, FRACTIONS, SPLIT_SEED)


def ids(data) -> list[str]:
    """The pictures that the data have."""
    return list(data)


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 1) to logits (N, H, W, classes)."""
    options = {name: settings[name] for name in ("filters", "depth", "normalization")}
    return nets.unet((None, None, 1), settings["classes"], padding="same", **options)


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training pictures with the settings' target and weights.

    The cells are turned and deformed, and the target is made of what comes out: pixels of a gap that is turned itself,
    each from the nearest one, no longer part cells that touch.
    """
    augmenter = Augmenter(**settings["augmentation"])

    def augment(image, cells, rng):
        image, cells = augmenter(image, cells, rng)
        return image, *target(cells, settings)

    chosen, tile = [data[id_] for id_ in split["train"]], settings["tile"]
    images, cells = [look(picture.image) for picture in chosen], [picture.cells for picture in chosen]
    return training.Tiles(images, cells, tile, tile, settings["batch"], settings["steps"], seed, augment)


def target(cells, settings) -> tuple[np.ndarray, np.ndarray]:
    """Classes int8 (H, W) and weights float32 (H, W) of one picture or tile.

    Weights are those of what the tile shows: a neighbor beyond its edge counts as none.
    """
    if settings["way"] == "border":
        classes = instances.border_target(cells).astype(np.int8)
        return classes, np.where(classes == 2, settings["border_weight"], 1).astype(np.float32)
    apart = labels.separate(cells)
    return (apart > 0).astype(np.int8), weightmap.weight_map(apart, settings["w0"], settings["sigma"])


PARTS = load, split, ids, build, optimizer, batches  # of each recipe
