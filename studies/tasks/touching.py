"""Touching cells in phase contrast (Usiigaci): pictures, split by film, and two targets.

50 pictures of glioblastoma cells, worked on at half their size and judged at their own. How a network is judged stands
in ``touching_scores``.
"""

from typing import NamedTuple

import numpy as np

from studies import training as arms
from studies.tasks import touching_scores, usual
from studies.tasks.pictures import raw
from unetbook import resizing, splits, targets, training
from unetbook.datasets import usiigaci

DATASET, FOLDS = usiigaci, False
ids, parts, side, answering = usual.ids, usual.parts, usual.side, usual.answering
FRACTIONS = {"train": 0.6, "validation": 0.16, "test": 0.24}
SPLIT_SEED = 50
CRUMB = usiigaci.SMALLEST // 4  # pixels at half the size; thin parts of a cell break off when it is squeezed
CLASSES = {"gaps": 2, "border": 3}  # of a target

validate, evaluate, baselines = touching_scores.validate, touching_scores.evaluate, touching_scores.baselines


class Picture(NamedTuple):
    """One picture as in its file, (H, W, 1); its cells, int32, at the side of the work and at its own; its kind."""

    image: np.ndarray
    cells: np.ndarray
    truth: np.ndarray
    kind: str


def load(settings, seed, root=None) -> dict[str, Picture]:
    """All pictures by id."""
    found, square = {}, settings.side
    for sample in usiigaci.load(root):
        cells = usiigaci.without_crumbs(resizing.stretched_labels(sample.labels, square, square), CRUMB)
        found[sample.id] = Picture(raw(sample.image), cells, sample.labels, usiigaci.kind(sample.labels))
    return found


def split(data) -> dict[str, list[str]]:
    """Ids by part, 60, 16 and 24 % of each kind; pictures that may be frames of one film stay together."""
    kinds, film = [one.kind for one in data.values()], splits.films([one.cells for one in data.values()])
    return splits.by_kind(list(data), kinds, film, FRACTIONS, SPLIT_SEED)


def build(data, settings):
    """Images (N, H, W, 1) to logits (N, H, W, classes)."""
    return arms.network(settings, 1, CLASSES[settings.target])


def batches(data, parts, settings, seed) -> training.Tiles:
    """Random tiles of the training pictures with the arm's target and weights.

    The cells are turned and deformed, and the target is made of what comes out: pixels of a gap that is turned itself,
    each from the nearest one, no longer part cells that touch.
    """
    augmenter = arms.augmentation(settings)

    def augment(image, cells, rng):
        image, cells = augmenter(image, cells, rng)
        return image, *target(cells, settings)

    chosen, tile = [data[id_] for id_ in parts["train"]], settings.tile
    images = [touching_scores.look(picture.image, settings.side) for picture in chosen]
    cells = [picture.cells for picture in chosen]
    return training.Tiles(images, cells, tile, tile, settings.batch, settings.steps, seed, augment)


def target(cells, settings) -> tuple[np.ndarray, np.ndarray]:
    """Classes int8 (H, W) and weights float32 (H, W) of one picture or tile."""
    if settings.target == "border":
        return targets.with_border(cells, settings.border_weight)
    return targets.with_gaps(cells, settings.w0, settings.sigma)


def passport(settings) -> dict:
    """Entries of the kept file."""
    return {
        "task": "cells in phase contrast that touch",
        "classes": ["background", "interior", "border"] if settings.target == "border" else ["background", "cell"],
        "input": "one channel",
        "channels": 1,
        "normalize": "stretched",
        "side": settings.side,
        "objects": True,
        "training_data": "Usiigaci (Tsai et al. 2019), 30 of its 50 pictures",
        "license": "MIT for the code and the pictures",
    }
