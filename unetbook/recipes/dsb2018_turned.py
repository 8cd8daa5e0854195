"""``dsb2018-unet`` with gaps that are made first and then turned, which breaks some; one position. Chapter 16.

These are the networks that ``dsb2018-unet`` had trained before its gaps were made last.
"""

from unetbook.recipes import _nuclei, _nuclei_scores, dsb2018_unet

NAME = "dsb2018-turned"
SUMMARY = "nuclei: the U-Net once more, its gaps made first and then turned with the image"
DATASET, LOSS, SEEDS = dsb2018_unet.DATASET, dsb2018_unet.LOSS, dsb2018_unet.SEEDS
SETTINGS = {name: value for name, value in dsb2018_unet.SETTINGS.items() if name != "gaps"}
QUICK, TARGET, PASSPORT = dsb2018_unet.QUICK, dsb2018_unet.TARGET, dsb2018_unet.PASSPORT
KEPT = False  # the weights that are kept are those of dsb2018-unet

load, split, ids, build = _nuclei.load, _nuclei.split, _nuclei.ids, dsb2018_unet.build
optimizer, batches = _nuclei.optimizer, _nuclei.batches
validate, baselines = _nuclei_scores.validate, _nuclei_scores.baselines


def evaluate(model, data, split) -> dict:
    """Scores of the test images in one position; what is chosen is so on the validation images."""
    return _nuclei_scores.judged(lambda id_: _nuclei_scores.foreground(model, data[id_].image), data, split)
