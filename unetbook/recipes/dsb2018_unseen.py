"""How the U-Net of ``dsb2018-unet`` does on kinds of images that it has not seen: one kind left out of training.

For each kind, a network is trained on the training images of all others and scored on the test images of that kind; a
network that is trained on all kinds, as briefly, is scored beside it. The way to objects is chosen on the validation
images of the kinds that a network knows. Without its largest kind the training set is half as large; ``HALF`` tells
that apart: as many images are left out, at random. A quarter of the recipe's steps, one position. Chapter 16.
"""

import numpy as np

from unetbook import results
from unetbook.recipes import _json, _nuclei, _nuclei_scores, dsb2018_unet
from unetbook.recipes._run import described

NAME = "dsb2018-unseen"
SUMMARY = "nuclei on kinds of images that were left out of training, one kind at a time; short trainings"
SEEDS = (0, 1, 2)
SETTINGS = dsb2018_unet.SETTINGS | {"steps": 450, "epochs": 1}
QUICK = dsb2018_unet.QUICK | {"epochs": 1}
KINDS = (
    *(f"fluorescence, {height} x {width}" for height, width in _nuclei.USUAL_SIZES),
    "fluorescence, other sizes",
    "stained",
    "gray on light",
)
ALL, HALF = "all kinds", f"as many fewer at random, on {KINDS[0]}"
ARMS = {
    ALL: {"kind": None, "left_out": "nothing"},
    **{f"without {kind}": {"kind": kind, "left_out": "kind"} for kind in KINDS},
    HALF: {"kind": KINDS[0], "left_out": "random"},
}
OFFERED = {"depths": (1.0,), "sizes": (0, 10, 20, 40)}  # pixels; the stored run was judged before more was offered
PAIRS = []  # the arms are scored on different images: compare an arm's score with ``ALL``'s of the same kind


def data(settings, seed):
    """The pictures, and the split that ``dsb2018-unet`` stored; where there is none, the one that it would make."""
    pictures = _nuclei.load()
    stored = _json.read(results.folder() / "splits" / f"{_nuclei.DATASET.FOLDER}.json")
    return pictures, stored or _nuclei.split(pictures)


def measure(data, options, settings, seed) -> dict:
    """Train without one kind, or without as many images; the scores of the kind's test images, or of all by kind."""
    pictures, parts = data
    split = without(pictures, parts, options, seed)
    model, curve = _nuclei.trained(dsb2018_unet, pictures, split, settings, seed)
    entry = _nuclei_scores.judged_once(model, pictures, split, **OFFERED)
    return entry | {
        "counts": {name: len(ids) for name, ids in split.items()},
        "curve": curve,
        "data": [described(path) for path in _nuclei.DATASET.files()],
    }


def without(pictures, parts, options, seed) -> dict[str, list[str]]:
    """The split of one arm: test images of the kind; the others without it, or without as many images at random.

    With the option ``"left_out": "nothing"``, the whole split.
    """
    if options["left_out"] == "nothing":
        return parts
    of_kind = {id_ for id_, picture in pictures.items() if picture.kind == options["kind"]}
    split = {"test": sorted(of_kind & set(parts["test"]))}
    if not split["test"]:
        raise ValueError(f"the data hold no test image of kind {options['kind']!r}: get the whole data set")
    for name in ("train", "validation"):
        kept = sorted(set(parts[name]) - of_kind)
        if options["left_out"] == "random":
            kept = sorted(np.random.default_rng(seed).permutation(parts[name])[: len(kept)].tolist())
        split[name] = kept
    return split
