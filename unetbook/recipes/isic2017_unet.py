"""Skin lesions by a plain U-Net with the Improved U-Net's multiply-adds, normalization and schedule. Chapter 17."""

import keras

from unetbook import nets
from unetbook.recipes import _lesions, _lesions_scores, isic2017_improved

NAME = "isic2017-unet"
SUMMARY = "skin lesions: plain U-Net at the multiply-adds and on the schedule of isic2017-improved, five folds"
DATASET, LOSS = isic2017_improved.DATASET, isic2017_improved.LOSS
SEEDS = isic2017_improved.SEEDS
SETTINGS = isic2017_improved.SETTINGS | {
    "network": "U-Net",
    "filters": 11,
    "depth": 4,
    "normalization": "instance",
    "dropout": 0.0,
}
QUICK = isic2017_improved.QUICK
TARGET = {}
KEPT = False

load, split, fold, ids, batches = _lesions.PARTS
baselines = _lesions_scores.baselines
optimizer = isic2017_improved.optimizer
validate, evaluate = isic2017_improved.validate, isic2017_improved.evaluate


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 3) to logits (N, H, W, 1)."""
    options = {name: settings[name] for name in ("filters", "depth", "normalization", "dropout")}
    return nets.unet((None, None, 3), settings["classes"], padding="same", **options)
