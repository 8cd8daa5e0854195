"""Skin lesions by an Improved U-Net on a schedule of our own. Chapter 17.

Against ``isic2017-study``: random turns, places, sizes, gray values and colors, so that 59 images are not learned by
heart; a higher rate that falls to 0; a loss with the Dice that is scored; smaller pictures, which lesions allow; the
mean of eight positions; of what is found, one piece.
"""

from unetbook import losses
from unetbook.recipes import _lesions, _lesions_scores, isic2017_study
from unetbook.recipes._schedule import falling_adam

NAME = "isic2017-improved"
SUMMARY = "skin lesions: Improved U-Net with augmentation, a falling rate and Dice in the loss, five folds"
DATASET, LOSS = _lesions.DATASET, losses.bce_dice
SEEDS = _lesions.FOLDS
SETTINGS = isic2017_study.SETTINGS | {
    "side": 192,
    "batch": 8,
    "steps": 90,
    "epochs": 20,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "0.5 binary cross-entropy + 1 - Dice",
    "augmentation": {
        "shift": 20,
        "zoom": 0.4,
        "elastic": 4,
        "blur": 0.5,
        "gamma": 0.2,
        "gain": 0.2,
        "offset": 0.05,
        "noise": 0.01,
    },
    "color": 0.1,
    "averaged": True,
    "one_piece": True,
}
QUICK = isic2017_study.QUICK
TARGET, LEAST = {}, {"dice": 0.80}
PASSPORT = _lesions_scores.PASSPORT | {
    "side": SETTINGS["side"],
    "averaged": "eight",
    "one_piece": True,
    "training_data": "ISIC 2017 part 1, 60 of its validation images (Codella et al. 2018)",
    "license": "MIT for the code; the images are CC0",
}

load, split, fold, ids, batches = _lesions.PARTS
baselines = _lesions_scores.baselines
build, optimizer = isic2017_study.build, falling_adam


def validate(model, data, split) -> dict:
    """Scores of the fold's validation images."""
    return _lesions_scores.validate(model, data, split, SETTINGS["side"], SETTINGS["one_piece"])


def evaluate(model, data, split) -> dict:
    """Scores of the fold's test images."""
    return _lesions_scores.evaluate(model, data, split, SETTINGS["side"], SETTINGS["averaged"], SETTINGS["one_piece"])
