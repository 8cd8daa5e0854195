"""Touching phase-contrast cells by a U-Net with gaps and the border term of the U-Net paper's weights. Chapter 18.

The paper's w0 of 10 and sigma of 5 pixels, as the network sees them; classes are not balanced.

``usiigaci-no-weights`` leaves the weight map out; ``usiigaci-border`` has a border class in place of both, and
``usiigaci-border-weights`` weighs its pixels. Named before anything was measured: the comparison that counts is that of
this recipe with ``usiigaci-no-weights``, by F at IoU 0.5 and by merged cells, each network read as suits it best on the
validation pictures. All else is to learn from. The grids that it chooses from were widened once, when the test scores
of the first three seeds of both were known; chapter 18 says what that changed.
"""

from unetbook.recipes import _touching, _touching_scores

NAME = "usiigaci-weights"
SUMMARY = "touching cells: gaps, and border weights where cells are near"
DATASET, LOSS = _touching.DATASET, _touching.LOSS
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "network": "U-Net",
    "filters": 16,
    "depth": 4,
    "classes": 2,
    "normalization": "batch",
    "side": _touching.SIDE,
    "tile": 256,
    "batch": 4,
    "steps": 100,
    "epochs": 10,
    "precision": "mixed_bfloat16",
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy, divided by the sum of the weights",
    "way": "regrow",
    "w0": 10,
    "sigma": 5,
    "augmentation": {"zoom": 0.2, "elastic": 6, "blur": 0.5, "gamma": 0.2, "gain": 0.2, "offset": 0.05, "noise": 0.01},
}
QUICK = {"filters": 2, "depth": 2, "tile": 64, "batch": 1, "steps": 2, "epochs": 2}
TARGET = {}
PASSPORT = {
    "task": "cells in phase contrast that touch",
    "classes": ["background", "cell"],
    "input": "one channel",
    "channels": 1,
    "normalize": "stretched",
    "side": _touching.SIDE,
    "objects": True,
    "training_data": "Usiigaci (Tsai et al. 2019), 30 of its 50 pictures",
    "license": "MIT for the code and the pictures",
}

load, split, ids, build, optimizer, batches = _touching.PARTS
validate, evaluate, baselines = _touching_scores.PARTS
