"""Nuclei of the Data Science Bowl 2018 by a U-Net, from per-nucleus masks to a submission. Chapter 16.

All but the network stands in ``_nuclei`` and ``_nuclei_scores``, which ``dsb2018-unetpp`` shares.
"""

import keras

from unetbook import nets
from unetbook.recipes import _nuclei, _nuclei_scores

NAME = "dsb2018-unet"
SUMMARY = "nuclei: U-Net, 16 to 256 channels, gaps and weight map, split by field and kind of image"
DATASET, LOSS = _nuclei.DATASET, _nuclei.LOSS
SEEDS = (0, 1, 2)
SETTINGS = {
    "network": "U-Net",
    "filters": 16,
    "depth": 4,
    "classes": 2,
    "normalization": "batch",
    "input": "bright on dark, three channels",
    "tile": 192,
    "batch": 8,
    "steps": 180,
    "epochs": 10,
    "precision": "mixed_bfloat16",
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy, divided by the sum of the weights",
    "target": "nuclei without their contact pixels",
    "w0": 3,
    "sigma": 5,
    "augmentation": {"zoom": 0.3, "elastic": 4, "blur": 0.5, "gamma": 0.3, "gain": 0.1, "offset": 0, "noise": 0.005},
}
QUICK = {"filters": 2, "depth": 2, "tile": 64, "batch": 1, "steps": 2, "epochs": 2}
TARGET = {}
LEAST = {"dsb": 0.55, "f": 0.85, "iou": 0.88}
PASSPORT = _nuclei.PASSPORT

load, split, ids = _nuclei.load, _nuclei.split, _nuclei.ids
optimizer, batches, validate, evaluate, baselines = (
    _nuclei.optimizer,
    _nuclei.batches,
    _nuclei_scores.validate,
    _nuclei_scores.evaluate,
    _nuclei_scores.baselines,
)


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 3) to logits (N, H, W, 2), channel 1 for nuclei."""
    options = {name: settings[name] for name in ("filters", "depth", "normalization")}
    return nets.unet((None, None, 3), settings["classes"], padding="same", **options)
