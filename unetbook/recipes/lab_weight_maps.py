"""What the weight map buys on cells that touch: none, class balance, the border term, or both. Chapter 09."""

import numpy as np

from unetbook import labels, losses, weightmap
from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-weight-maps"
SUMMARY = "touching cells with and without weights: none, class balance, border term, both"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic cells",
    "training_pictures": 40,
    "test_pictures": 20,
    "size": 192,
    "filters": 8,
    "depth": 3,
    "tile": 128,
    "batch": 4,
    "steps": 40,
    "epochs": 10,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy, divided by the sum of the weights",
    "target": "cells without their contact pixels",
}
QUICK = {
    "training_pictures": 2,
    "test_pictures": 1,
    "size": 64,
    "filters": 2,
    "depth": 1,
    "tile": 64,
    "steps": 2,
    "epochs": 1,
}
ARMS = {
    "no weights": {"balance": False, "w0": 0},
    "class balance": {"balance": True, "w0": 0},
    "border term": {"balance": False, "w0": 10, "sigma": 5},
    "both": {"balance": True, "w0": 10, "sigma": 5},
}
PAIRS = [(arm, "no weights") for arm in ARMS if arm != "no weights"]


def data(settings, seed):
    """Training and test pictures with instances."""
    training = synthetic.cells(settings["training_pictures"], settings["size"], seed=1000 + seed)
    return training, synthetic.cells(settings["test_pictures"], settings["size"], seed=2000 + seed)


def measure(data, options, settings, seed) -> dict:
    """Train one arm; Dice, object F, and cells merged, split, missed and extra out of 100 true ones."""
    (images, instances), (test_images, truth) = data
    apart = labels.separate(instances)
    balance = weightmap.class_weights(apart) if options["balance"] else None
    weights = [weightmap.weight_map(one, options["w0"], options.get("sigma", 5), balance) for one in apart]
    model = _quick.network(settings, seed)
    curve = _quick.train(
        model,
        images,
        (apart > 0).astype(np.int32),
        settings,
        seed,
        weights=np.stack(weights),
        loss=losses.CrossEntropy(reduction="mean_with_sample_weight"),
    )
    predicted = _quick.probabilities(model, test_images)[..., 1] >= 0.5
    found = [_quick.without_small(labels.connected(mask)) for mask in predicted]
    return {"scores": _quick.mask_scores(truth, predicted) | _quick.errors(truth, found), "curve": curve}
