"""Skin lesions by an Improved U-Net with the settings of the study that this chapter follows. Chapter 17.

256 x 256 pixels, batch 16, Adam at a constant 1e-4, drop-out 0.3, no augmentation, 6 : 2 : 2. The study trained for
ten epochs on many more images. What is matched is the number of steps: ten epochs of 60 % of the 2,594 images of ISIC
2018 would be 970, and as many are taken here. Its loss and width are not known to us; here the loss is the binary
cross-entropy, and the width half of Isensee's, so that a fold takes less than 25 minutes on two cores.
"""

import keras

from unetbook import nets
from unetbook.recipes import _lesions, _lesions_scores

NAME = "isic2017-study"
SUMMARY = "skin lesions: Improved U-Net with the settings of the study, as many steps, five folds"
DATASET = _lesions.DATASET
SEEDS = _lesions.FOLDS
SETTINGS = {
    "network": "Improved U-Net",
    "filters": 8,
    "dropout": 0.3,
    "classes": 1,
    "side": 256,
    "batch": 16,
    "steps": 97,
    "epochs": 10,
    "precision": "mixed_bfloat16",
    "learning_rate": 1e-4,
    "schedule": "Adam, constant",
    "loss": "binary cross-entropy",
    "averaged": False,
    "one_piece": False,
}
QUICK = {"filters": 2, "side": 32, "batch": 2, "steps": 1, "epochs": 2}
TARGET = {}
KEPT = False

load, split, fold, ids, batches = _lesions.PARTS
baselines = _lesions_scores.baselines


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 3) to logits (N, H, W, 1)."""
    return nets.improved_unet((None, None, 3), settings["classes"], settings["filters"], settings["dropout"])


def optimizer(settings) -> keras.optimizers.Optimizer:
    """Adam at a constant learning rate."""
    return keras.optimizers.Adam(settings["learning_rate"])


def validate(model, data, split) -> dict:
    """Scores of the fold's validation images."""
    return _lesions_scores.validate(model, data, split, SETTINGS["side"], SETTINGS["one_piece"])


def evaluate(model, data, split) -> dict:
    """Scores of the fold's test images."""
    return _lesions_scores.evaluate(model, data, split, SETTINGS["side"], SETTINGS["averaged"], SETTINGS["one_piece"])
