"""Cross-entropy, Dice or their sum, as the foreground gets rare: ellipses that fill 21 % down to 1 % of a picture.

The number of ellipses changes and not their size, so that each is as hard to tell from a disc as before. Chapter 08.
"""

import numpy as np

from unetbook import losses
from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-losses"
SUMMARY = "cross-entropy, Dice, 0.5 cross-entropy + Dice, with 20, 10, 3 and 1 objects in a picture"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic ellipses among discs",
    "training_pictures": 40,
    "test_pictures": 40,
    "size": 128,
    "filters": 8,
    "depth": 3,
    "tile": 128,
    "batch": 4,
    "steps": 20,
    "epochs": 10,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
}
QUICK = {"training_pictures": 4, "test_pictures": 2, "filters": 2, "depth": 1, "steps": 2, "epochs": 1}
LOSSES = {
    "cross-entropy": losses.binary_cross_entropy,
    "Dice": losses.dice,
    "sum": losses.bce_dice,
}
OBJECTS = (20, 10, 3, 1)
ARMS = {f"{loss}, {objects}": {"loss": loss, "objects": objects} for objects in OBJECTS for loss in LOSSES}
PAIRS = [(f"{loss}, {objects}", f"cross-entropy, {objects}") for objects in OBJECTS for loss in ("Dice", "sum")]


def data(settings, seed) -> dict:
    """Training and test pictures for each number of objects."""
    sizes = settings["training_pictures"], settings["test_pictures"]
    return {
        objects: [
            synthetic.ellipses(count, settings["size"], seed=part + seed, objects=objects)
            for count, part in zip(sizes, (1000, 2000), strict=True)
        ]
        for objects in OBJECTS
    }


def measure(data, options, settings, seed) -> dict:
    """Train one arm; its Dice and object F on the test pictures, and the share of foreground that it saw."""
    (images, instances), (test_images, truth) = data[options["objects"]]
    masks = (instances > 0).astype(np.int32)
    model = _quick.network(settings, seed, classes=1)
    curve = _quick.train(model, images, masks, settings, seed, loss=LOSSES[options["loss"]])
    predicted = _quick.probabilities(model, test_images)[..., 0] >= 0.5
    return {"scores": _quick.mask_scores(truth, predicted), "foreground": float(masks.mean()), "curve": curve}
