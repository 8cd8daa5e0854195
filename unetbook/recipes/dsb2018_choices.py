"""Short trainings of what ``dsb2018-unet`` could have done otherwise, scored on its validation images. Chapter 16.

Each arm changes one thing in the recipe's look, target, weights or augmentation. A quarter of the recipe's steps, one
position, and the threshold and way to nuclei that do best, so that no arm suffers from a threshold made for another. As
many training images, chosen at random and scored in the same way, tell whether an arm over-fits.
"""

import numpy as np

from unetbook import scores
from unetbook.recipes import _nuclei, _nuclei_scores, dsb2018_unet, dsb2018_unseen

NAME = "dsb2018-choices"
SUMMARY = "nuclei, short trainings: weights, look, augmentation, target and width, judged on validation images"
SEEDS = (0, 1, 2)
SETTINGS = dsb2018_unet.SETTINGS | {"steps": 450, "epochs": 1}
QUICK = dsb2018_unet.QUICK | {"epochs": 1}
ARMS = {
    "as chosen": {},
    "no border weights": {"w0": 0.0},
    "border weights of the paper": {"w0": 10},
    "no square root": {"root": False},
    "usual augmentation": {"augmentation": {"zoom": 0.3}},
    "border class": {"target": "border", "classes": 3},
}
PAIRS = [(arm, "as chosen") for arm in ARMS if arm != "as chosen"]
SMALLEST = 20  # pixels

data = dsb2018_unseen.data


def measure(data, options, settings, seed) -> dict:
    """Train one arm; DSB score, IoU, and nuclei merged, split, missed and extra for 100 true ones, on validation.

    ``seen``: the same scores of as many training images.
    """
    pictures, split = data
    settings = settings | options
    model, curve = _nuclei.trained(dsb2018_unet, pictures, split, settings, seed)
    ways = ("border",) if settings.get("target") == "border" else ("regrow", "watershed")
    rule = "bright_on_dark" if settings.get("root", True) else "bright_on_dark_linear"
    reader = _nuclei_scores.segmenter(model, ways[0], normalize=rule)

    def maps(ids):
        return {id_: reader.maps(pictures[id_].image, once=True) for id_ in ids}

    found, choices = _best(reader, ways, maps(split["validation"]), pictures)
    scored = _nuclei_scores.scored(found, pictures)
    some = np.random.default_rng(seed).permutation(split["train"])[: len(split["validation"])].tolist()
    again = _objects(reader, maps(some), choices)
    seen = _nuclei_scores.scored(again, pictures)["scores"]
    return {"scores": scored["scores"], "seen": seen, "kinds": scored["kinds"], "choices": choices, "curve": curve}


def _best(reader, ways, maps, pictures):
    """The nuclei by the way and threshold with the best DSB score, and which they were."""
    best = None
    for way in ways:
        for threshold in _nuclei_scores.THRESHOLDS:
            choices = {"way": way, "threshold": threshold}
            found = _objects(reader, maps, choices)
            score = scores.dsb_score([pictures[id_].nuclei for id_ in found], list(found.values()))
            if best is None or score > best[0]:
                best = score, found, choices
    return best[1:]


def _objects(reader, maps, choices):
    return {id_: reader.labels(one, one.shape, smallest=SMALLEST, **choices) for id_, one in maps.items()}
