"""Which optimizer, rate, activation and normalization: the U-Net paper's choices and its readers'. Chapter 11.

All arms see the same number of pixels in each step: one tile of 256 x 256, as the paper prefers one large tile, or a
batch of four tiles of 128 x 128. The paper gives no learning rate, so each optimizer runs at three. SGD also gets four
times the steps, beside an Adam that gets as many, and batch normalization, since it is slow to begin.
"""

import keras
import numpy as np

from unetbook import labels
from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-optimization"
SUMMARY = "SGD with momentum 0.99 on one large tile or Adam on a batch; ReLU, ELU, tanh; batch normalization"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic cells",
    "training_pictures": 24,
    "test_pictures": 12,
    "size": 256,
    "filters": 8,
    "depth": 3,
    "steps": 30,
    "epochs": 10,
    "schedule": "cosine to 0 over all steps of the arm",
    "loss": "soft-max cross-entropy",
}
QUICK = {"training_pictures": 2, "test_pictures": 1, "size": 64, "filters": 2, "depth": 1, "steps": 2, "epochs": 1}
BATCH, ONE_TILE = {"tiles": 4, "tile": 128}, {"tiles": 1, "tile": 256}
ADAM = {"optimizer": "Adam", "rate": 1e-3, "activation": "relu", "normalization": None, "longer": 1, **BATCH}
SGD = {**ADAM, "optimizer": "SGD, momentum 0.99", **ONE_TILE}
ARMS = {
    "Adam 0.0001": ADAM | {"rate": 1e-4},
    "Adam 0.001": ADAM,
    "Adam 0.01": ADAM | {"rate": 1e-2},
    "SGD 0.0001": SGD | {"rate": 1e-4},
    "SGD 0.001": SGD | {"rate": 1e-3},
    "SGD 0.01": SGD | {"rate": 1e-2},
    "Adam, one tile": ADAM | ONE_TILE,
    "ELU": ADAM | {"activation": "elu"},
    "tanh": ADAM | {"activation": "tanh"},
    "batch normalization": ADAM | {"normalization": "batch"},
    "SGD 0.001, batch normalization": SGD | {"rate": 1e-3, "normalization": "batch"},
    "Adam 0.001, long": ADAM | {"longer": 4},
    "SGD 0.001, long": SGD | {"rate": 1e-3, "longer": 4},
    "SGD 0.01, long": SGD | {"rate": 1e-2, "longer": 4},
}
PAIRS = [
    ("Adam 0.0001", "Adam 0.001"),
    ("Adam 0.01", "Adam 0.001"),
    ("SGD 0.0001", "Adam 0.001"),
    ("SGD 0.001", "Adam 0.001"),
    ("SGD 0.01", "Adam 0.001"),
    ("Adam, one tile", "Adam 0.001"),
    ("ELU", "Adam 0.001"),
    ("tanh", "Adam 0.001"),
    ("batch normalization", "Adam 0.001"),
    ("SGD 0.001, batch normalization", "batch normalization"),
    ("SGD 0.001, long", "Adam 0.001, long"),
    ("SGD 0.01, long", "Adam 0.001, long"),
]


def data(settings, seed):
    """Training pictures with masks, contact pixels given to the background, and test pictures with instances."""
    images, instances = synthetic.cells(settings["training_pictures"], settings["size"], seed=1000 + seed)
    test = synthetic.cells(settings["test_pictures"], settings["size"], seed=2000 + seed)
    return images, (labels.separate(instances) > 0).astype(np.int32), *test


def measure(data, options, settings, seed) -> dict:
    """Train one arm; its Dice and object F on the test pictures, and the loss of each epoch."""
    images, masks, test_images, truth = data
    settings = settings | {"epochs": options["longer"] * settings["epochs"]}
    model = _quick.network(settings, seed, activation=options["activation"], normalization=options["normalization"])
    rate = _quick.falling(options["rate"], settings)
    if options["optimizer"] == "Adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.99)
    tile = min(options["tile"], settings["size"])
    budget = settings | {"tile": tile, "batch": options["tiles"]}
    curve = _quick.train(model, images, masks, budget, seed, optimizer=optimizer)
    predicted = _quick.probabilities(model, test_images)[..., 1] >= 0.5
    return {"scores": _quick.mask_scores(truth, predicted), "curve": curve}
