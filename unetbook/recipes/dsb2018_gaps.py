"""``dsb2018-unet`` with gaps that are made after the turn, so that no turn breaks one; one position. Chapter 16.

The border weights, too, are then made of what a tile shows. All else is the same, initial weights and draws included.
"""

from unetbook.recipes import _nuclei, _nuclei_scores, dsb2018_unet

NAME = "dsb2018-gaps"
SUMMARY = "nuclei: the U-Net once more, with gaps that are made after the turn"
DATASET, LOSS, SEEDS = dsb2018_unet.DATASET, dsb2018_unet.LOSS, dsb2018_unet.SEEDS
SETTINGS = dsb2018_unet.SETTINGS | {"gaps": "made after the turn"}
QUICK, TARGET, PASSPORT = dsb2018_unet.QUICK, dsb2018_unet.TARGET, dsb2018_unet.PASSPORT
KEPT = False  # the weights that are kept are those of dsb2018-unet

load, split, ids, build = _nuclei.load, _nuclei.split, _nuclei.ids, dsb2018_unet.build
optimizer, batches = _nuclei.optimizer, _nuclei.batches
validate, baselines = _nuclei_scores.validate, _nuclei_scores.baselines


def evaluate(model, data, split) -> dict:
    """Scores of the test images in one position; what is chosen is so on the validation images."""
    return _nuclei_scores.judged_once(model, data, split)
