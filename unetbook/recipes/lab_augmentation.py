"""What augmentation buys with 5, 10 and 20 training pictures: none, flips and turns, and elastic deformation on top.

With 5 pictures also in a training three times as long, which has time to learn them by heart. Training pictures come
with instances, and the target is made of them tile by tile: touching cells are separated *after* the tile was turned
and bent, because a gap of two pixels does not survive that whole.

The paper deforms tiles of about 512 pixels by 10 pixels. Tiles of 128 pixels take 5, so that nothing folds over;
relative to the tile that is twice as strong as in the paper. Chapter 07.
"""

import numpy as np

from unetbook import augment, labels
from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-augmentation"
SUMMARY = "5, 10 and 20 training pictures: none, flips and turns, elastic deformation on top; with 5 for longer, too"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic cells",
    "test_pictures": 20,
    "size": 160,
    "filters": 8,
    "depth": 3,
    "tile": 128,
    "batch": 4,
    "steps": 30,
    "epochs": 10,  # long: three times as many
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy",
    "target": "cells without their contact pixels, separated after each tile was changed",
}
QUICK = {"test_pictures": 1, "size": 64, "filters": 2, "depth": 1, "tile": 64, "steps": 2, "epochs": 1}
GRAY = {"blur": 0, "gamma": 0, "gain": 0, "offset": 0, "noise": 0}  # gray values stay as they are in all arms
RIGID = {"flip": True, "rotation": 180, "zoom": 0, "elastic": 0, **GRAY}
KINDS = {"none": None, "rigid": RIGID, "elastic": RIGID | {"elastic": 5}}
ARMS = {f"{n} {kind}": {"pictures": n, "augment": options} for n in (5, 10, 20) for kind, options in KINDS.items()}
ARMS |= {f"5 {kind}, long": {"pictures": 5, "augment": options, "times": 3} for kind, options in KINDS.items()}
PAIRS = [
    (f"{case[0]} {one}{case[1]}", f"{case[0]} {other}{case[1]}")
    for case in (("5", ""), ("10", ""), ("20", ""), ("5", ", long"))
    for one, other in (("rigid", "none"), ("elastic", "rigid"))
]


def data(settings, seed):
    """Training pictures and test pictures, both with instances."""
    return (
        *synthetic.cells(20, settings["size"], seed=1000 + seed),
        *synthetic.cells(settings["test_pictures"], settings["size"], seed=2000 + seed),
    )


def measure(data, options, settings, seed) -> dict:
    """Train one arm on its first pictures; its Dice and object F on the test pictures."""
    images, instances, test_images, truth = data
    change = augment.Augmenter(**options["augment"]) if options["augment"] else None

    def augmented(image, cells, rng):
        image, cells = (image, cells) if change is None else change(image, cells, rng)
        return image, (labels.separate(cells) > 0).astype(np.int32)

    count, times = options["pictures"], options.get("times", 1)
    model = _quick.network(settings, seed)
    settings = settings | {"epochs": times * settings["epochs"]}
    curve = _quick.train(model, images[:count], instances[:count], settings, seed, augment=augmented)
    predicted = _quick.probabilities(model, test_images)[..., 1] >= 0.5
    return {"scores": _quick.mask_scores(truth, predicted), "curve": curve}
